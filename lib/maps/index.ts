/**
 * The socket maps.
 *
 * @packageDocumentation
 */
export type { SocketMapOptions } from '../loop/socket-map';
export { candidates, DefaultSocketMap, type SocketMapClass } from './default';
export { EpollSocketMap } from './epoll';
export { PollSocketMap } from './poll';
export { SelectSocketMap } from './select';
