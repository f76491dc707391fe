/**
 * A job's operators under simulated crashes, faults and rescales, in virtual time: `await simulate(({ source, sink }) => defineJob(…))`. Needs
 * no test runner.
 */
export { simulate, SimulationFailure, type Simulated, type SimulateOptions } from './simulate.ts'
export type { Ask, Placement, Plan, ProcessPlan, Rates, Strike } from './plan.ts'
export type { Connectors } from './world.ts'
