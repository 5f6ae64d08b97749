/// <reference types="node" preserve="true" />
/**
 * A simulated map, to test handlers without a network and without waiting.
 *
 * @packageDocumentation
 */
export { type Faults, harmlessFaults } from './faults';
export { SimSocketMap, type SimSocketMapOptions } from './sim-socket-map';
export { simulate, type SimulateOptions } from './simulate';
