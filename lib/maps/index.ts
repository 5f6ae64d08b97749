/// <reference types="node" preserve="true" />
/**
 * The socket maps.
 *
 * @packageDocumentation
 */
export {
  candidates,
  DefaultSocketMap,
  EpollSocketMap,
  PollSocketMap,
  SelectSocketMap,
  type SocketMapClass,
} from './maps';
export type { SocketMapOptions } from './socket-map';
