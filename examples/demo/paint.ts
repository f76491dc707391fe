/** A little colour, where the terminal takes it. */

type Painter = (text: string) => string

export interface Paint {
  readonly good: Painter
  readonly bad: Painter
  readonly accent: Painter
  readonly strong: Painter
  readonly faint: Painter
}

export function createPaint(hasColor: boolean): Paint {
  const inCode =
    (code: number): Painter =>
    (text) =>
      hasColor ? `\u001b[${code}m${text}\u001b[0m` : text
  return { good: inCode(32), bad: inCode(31), accent: inCode(36), strong: inCode(1), faint: inCode(2) }
}

export function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`
}
