/** Reads the part of Mermaid's flowchart language that `sluice plan --mermaid` may write, and refuses all else. */

export interface Flowchart {
  /** Title of each box, and the lines of the labels of what is in it, by name. */
  readonly boxes: readonly { readonly title: string; readonly nodes: Readonly<Record<string, readonly string[]>> }[]
  readonly edges: readonly {
    readonly from: string
    readonly to: string
    readonly thick: boolean
    readonly label: string
  }[]
}

const TEXT = String.raw`(?:[\p{L}\p{N} ._:,/-]|#\d+;)*`
const LABEL = `${TEXT}(?:<br/>${TEXT})*`
const BOX = new RegExp(`^  subgraph (task\\d+)\\["(${TEXT})"\\]$`, 'u')
const NODE = new RegExp(`^    (op\\d+)(?:\\(\\["(${LABEL})"\\]\\)|\\[\\["(${LABEL})"\\]\\]|\\["(${LABEL})"\\])$`, 'u')
const EDGE = new RegExp(`^  (op\\d+) (-->|==>)(?:\\|"(${TEXT})"\\|)? (op\\d+)$`, 'u')

/** @throws Error at the first line that is none of it */
export function parseFlowchart(text: string): Flowchart {
  const [head, ...lines] = text.replace(/\n$/, '').split('\n')
  if (head !== 'flowchart LR') throw new Error(`it begins with ${head}`)
  const boxes: { readonly title: string; readonly nodes: Record<string, readonly string[]> }[] = []
  const edges: Flowchart['edges'][number][] = []
  let open: (typeof boxes)[number] | undefined
  for (const line of lines) {
    const box = BOX.exec(line)
    const node = NODE.exec(line)
    const edge = EDGE.exec(line)
    if (box !== null && open === undefined) boxes.push((open = { title: decoded(box[2] ?? ''), nodes: {} }))
    else if (line === '  end' && open !== undefined) open = undefined
    else if (node !== null && open !== undefined)
      open.nodes[node[1] ?? ''] = (node[2] ?? node[3] ?? node[4] ?? '').split('<br/>').map(decoded)
    else if (edge !== null && open === undefined)
      edges.push({ from: edge[1] ?? '', to: edge[4] ?? '', thick: edge[2] === '==>', label: decoded(edge[3] ?? '') })
    else throw new Error(`not a line of a flowchart here: ${line}`)
  }
  const names = boxes.flatMap(({ nodes }) => Object.keys(nodes))
  if (open !== undefined) throw new Error('a box is open at the end')
  if (new Set(names).size < names.length) throw new Error(`a name is there twice: ${names.join(' ')}`)
  const strange = edges.flatMap(({ from, to }) => [from, to]).find((name) => !names.includes(name))
  if (strange !== undefined) throw new Error(`an edge of ${strange}, which is not there`)
  return { boxes, edges }
}

function decoded(text: string): string {
  return text.replaceAll(/#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
}
