/**
 * A simulated map, to test handlers on.
 *
 * @packageDocumentation
 */
export { type Faults, harmlessFaults } from './faults';
export { SimSocketMap, type SimSocketMapOptions } from './sim-socket-map';
export { simulate, type SimulateOptions } from './simulate';
