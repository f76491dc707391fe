/** What a terminal shows after all that was written to it, as far as a live line needs it: rows that never wrap. */

const ESCAPE = '\u001b'
/** Stands for "erase the rest of the line". */
export const ERASED = '\u2421'

/** Without colors, and with one character for "erase the rest". */
export function withoutColors(text: string): string {
  return text.replaceAll(`${ESCAPE}[K`, ERASED).replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')
}

export function screen(written: string): readonly string[] {
  const rows = ['']
  let column = 0
  for (const character of withoutColors(written)) {
    const row = rows.at(-1) ?? ''
    if (character === '\r') column = 0
    else if (character === '\n') {
      rows.push('')
      column = 0
    } else if (character === ERASED) rows[rows.length - 1] = row.slice(0, column)
    else {
      rows[rows.length - 1] = `${row.slice(0, column)}${character}${row.slice(column + 1)}`
      column += 1
    }
  }
  return rows
}
