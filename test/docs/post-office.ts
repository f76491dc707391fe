/**
 * A post office that does not exist, as real as a test needs it: trays that appear, are filled and are closed; letters that can be read
 * again by their number until they are released. In memory. docs/writing-a-source.md lists its requests.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Letter {
  readonly tray: string
  /** From 0, without gaps. */
  readonly number: number
  readonly text: string
}

interface Tray {
  readonly letters: Letter[]
  /** Letters with lower numbers are gone. */
  released: number
  isClosed: boolean
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

export class PostOffice implements AsyncDisposable {
  readonly #server: Server
  readonly #trays = new Map<string, Tray>()
  /** It refuses everything. */
  isClosedToday = false

  private constructor() {
    this.#server = createServer((request, response) => {
      const { status, body } = this.#answer(request.method ?? '', new URL(request.url ?? '/', 'http://office'))
      response.writeHead(status).end(JSON.stringify(body))
    })
  }

  static async start(): Promise<PostOffice> {
    const office = new PostOffice()
    await new Promise<void>((resolve) => office.#server.listen(0, '127.0.0.1', resolve))
    return office
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** A tray that is not there yet appears. */
  post(tray: string, ...texts: readonly string[]): void {
    const { letters } = this.#trayOf(tray)
    for (const text of texts) letters.push({ tray, number: letters.length, text })
  }

  /** No more letters will come. */
  close(tray: string): void {
    this.#trayOf(tray).isClosed = true
  }

  /** Letters of lower numbers are gone. */
  released(tray: string): number {
    return this.#trayOf(tray).released
  }

  /** As if nobody had released anything. */
  bringBack(): void {
    for (const tray of this.#trays.values()) tray.released = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #trayOf(name: string): Tray {
    const tray = this.#trays.get(name) ?? { letters: [], released: 0, isClosed: false }
    this.#trays.set(name, tray)
    return tray
  }

  #answer(method: string, { pathname, searchParams }: URL): Answer {
    if (this.isClosedToday) return { status: 503, body: 'closed today' }
    const [, , name = '', what = ''] = pathname.split('/')
    if (method === 'GET' && pathname === '/trays') return { status: 200, body: this.#list() }
    const tray = this.#trays.get(name)
    if (tray === undefined) return { status: 404, body: `there is no tray ${name}` }
    if (method === 'GET' && what === '') return lettersOf(tray, searchParams)
    if (method !== 'POST' || what !== 'release') return { status: 400, body: 'no such request' }
    tray.released = Math.max(tray.released, Number(searchParams.get('below')))
    return { status: 200, body: {} }
  }

  #list(): readonly object[] {
    const trays = [...this.#trays].map(([name, { letters }]) => ({ name, next: letters.length }))
    return trays.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }
}

function lettersOf({ letters, released, isClosed }: Tray, asked: URLSearchParams): Answer {
  const from = Number(asked.get('from'))
  if (from < released) return { status: 410, body: `letters below ${released} are gone` }
  const found = letters.slice(from, from + Number(asked.get('most')))
  return { status: 200, body: { letters: found, isClosed: isClosed && from + found.length === letters.length } }
}
