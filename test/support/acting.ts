/** Handlers whose callbacks run actions set by a test. */
import type { Handled, SystemError } from '../../lib';
import { BufferedWriteHandler } from '../../lib/protocols';

import { Recorder } from './recorder';

/* eslint-disable @typescript-eslint/no-misused-promises -- a Recorder returns nothing; actions may */

/** The callbacks by their short names: `read` is `handleRead`. */
export const callbackNames = [
  'read',
  'write',
  'except',
  'connect',
  'connectFailed',
  'end',
  'close',
  'cleanup',
  'drain',
] as const;

export type CallbackName = (typeof callbackNames)[number];

/** A recorder with an action for each callback, run after the callback is recorded. */
export class Acting extends Recorder {
  readonly on: Partial<Record<CallbackName | 'error', () => Handled>> = {};

  override handleRead(): Handled {
    if (this.recordRead()) return this.on.read?.();
  }

  override handleWrite(): Handled {
    this.events.push('write');
    // The result of handleDrain must be returned.
    const drained = BufferedWriteHandler.prototype.handleWrite.call(this);
    return this.on.write?.() ?? drained;
  }

  override handleExcept(error?: SystemError): Handled {
    this.events.push(error === undefined ? 'except' : `except ${error.code}`);
    return this.on.except?.();
  }

  override handleConnect(): Handled {
    super.handleConnect();
    return this.on.connect?.();
  }

  override handleConnectFailed(error: SystemError): Handled {
    super.handleConnectFailed(error);
    return this.on.connectFailed?.();
  }

  override handleDrain(): Handled {
    super.handleDrain();
    return this.on.drain?.();
  }

  override handleEnd(): Handled {
    super.handleEnd();
    return this.on.end?.();
  }

  override handleClose(error?: SystemError): Handled {
    super.handleClose(error);
    return this.on.close?.();
  }

  override handleCleanup(): Handled {
    super.handleCleanup();
    return this.on.cleanup?.();
  }

  override handleError(error: unknown): void {
    super.handleError(error);
    void this.on.error?.();
  }
}
