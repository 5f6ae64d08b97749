/// <reference types="node" preserve="true" />
/**
 * Protocols: handlers that buffer, and handlers that cut.
 *
 * @packageDocumentation
 */
export { BufferedWriteHandler } from './buffered-write';
export { LineHandler } from './line';
