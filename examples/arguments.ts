/** Arguments of examples, read strictly: what cannot be meant is refused with what can. */

/** @throws RangeError that says what can be given */
export function whole(
  name: string,
  text: string,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  const parsed = Number(text)
  if (/^\d+$/.test(text) && parsed >= least && parsed <= most) return parsed
  throw new RangeError(`--${name} ${text}: give a whole number from ${least} to ${most}`)
}

/** @throws RangeError that says what can be given */
export function oneOf<Name extends string>(name: string, text: string, known: Readonly<Record<Name, unknown>>): Name {
  if (Object.hasOwn(known, text)) return text as Name
  throw new RangeError(`--${name} ${text}: give one of ${Object.keys(known).join(', ')}`)
}
