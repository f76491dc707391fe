/**
 * How a record goes from one operator to the next: a synchronous call with the value and its event time.
 */
export type Push = (value: unknown, timestamp: number) => void
