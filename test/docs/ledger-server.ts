/**
 * A ledger that does not exist, as real as a test needs it: a server whose drafts are hidden until they are booked. One journal file holds
 * all it knows, each line fsynced before it answers, so it survives a SIGKILL. docs/writing-a-sink.md lists its requests.
 *
 *   node ledger-server.ts <journal> <port>     says its port on stdout
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

type Entry = Readonly<Record<string, unknown>>

type Change =
  | { readonly kind: 'open' | 'seal' | 'book' | 'discard' | 'forget'; readonly name: string }
  | { readonly kind: 'add'; readonly name: string; readonly entries: readonly Entry[] }
  | { readonly kind: 'take' }

interface Draft {
  readonly entries: Entry[]
  sealed: boolean
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

export class Ledger implements AsyncDisposable {
  readonly #journal: number
  readonly #server: Server
  readonly #drafts = new Map<string, Draft>()
  /** Names of booked drafts. */
  readonly #receipts = new Set<string>()
  #booked: Entry[] = []
  #failing: { readonly when: 'before' | 'after'; left: number } = { when: 'before', left: 0 }

  private constructor(journal: string) {
    if (existsSync(journal)) {
      const lines = readFileSync(journal, 'utf8').split('\n')
      // Behind the last line end: torn by a crash, never answered.
      for (const line of lines.slice(0, -1)) this.#apply(JSON.parse(line) as Change)
    }
    this.#journal = openSync(journal, 'a')
    this.#server = createServer((request, response) => {
      this.#handle(request).then(
        ({ status, body }) => response.writeHead(status).end(JSON.stringify(body)),
        (error: unknown) => response.writeHead(500).end(JSON.stringify({ error: String(error) })),
      )
    })
  }

  static async start(journal: string, port = 0): Promise<Ledger> {
    const ledger = new Ledger(journal)
    await new Promise<void>((resolve) => ledger.#server.listen(port, '127.0.0.1', resolve))
    return ledger
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The next bookings fail: before they take place, or after, so that only their answer is lost. Returns what ends it. */
  failBookings(when: 'before' | 'after', count: number): () => void {
    this.#failing = { when, left: count }
    return () => {
      this.#failing.left = 0
    }
  }

  /** As if somebody had emptied the tables by hand. */
  loseHidden(): void {
    for (const name of this.#drafts.keys()) this.#record({ kind: 'discard', name })
    for (const name of this.#receipts) this.#record({ kind: 'forget', name })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    closeSync(this.#journal)
  }

  async #handle(request: IncomingMessage): Promise<Answer> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://ledger')
    const [, place = '', name = '', verb = ''] = pathname.split('/')
    switch (`${request.method} ${place} ${verb}`.trim()) {
      case 'GET entries':
        return { status: 200, body: this.#booked }
      case 'DELETE entries': {
        const taken = this.#booked
        this.#record({ kind: 'take' })
        return { status: 200, body: taken }
      }
      case 'GET drafts': {
        const prefix = searchParams.get('prefix') ?? ''
        return {
          status: 200,
          body: [...this.#drafts.keys(), ...this.#receipts].filter((one) => one.startsWith(prefix)),
        }
      }
      case 'PUT drafts':
        if (this.#drafts.has(name) || this.#receipts.has(name)) return { status: 409, body: { error: 'is there' } }
        this.#record({ kind: 'open', name })
        return { status: 200, body: {} }
      case 'POST drafts entries': {
        const entries = (await json(request)) as readonly Entry[]
        if (this.#drafts.get(name)?.sealed !== false) return { status: 409, body: { error: 'is not open' } }
        this.#record({ kind: 'add', name, entries })
        return { status: 200, body: {} }
      }
      case 'POST drafts seal':
        if (!this.#drafts.has(name)) return { status: 404, body: { error: 'no such draft' } }
        this.#record({ kind: 'seal', name })
        return { status: 200, body: { entries: this.#drafts.get(name)?.entries.length } }
      case 'POST drafts book':
        return this.#book(name)
      case 'DELETE drafts':
        this.#record({ kind: 'discard', name })
        this.#record({ kind: 'forget', name })
        return { status: 200, body: {} }
      default:
        return { status: 400, body: { error: `${request.method} ${pathname} is nothing that a ledger does` } }
    }
  }

  #book(name: string): Answer {
    if (this.#receipts.has(name)) return { status: 200, body: { before: true } }
    if (this.#drafts.get(name)?.sealed !== true) return { status: 404, body: { error: 'no sealed draft' } }
    const fails = this.#failing.left > 0
    if (fails) this.#failing.left -= 1
    if (!fails || this.#failing.when === 'after') this.#record({ kind: 'book', name })
    return fails ? { status: 503, body: { error: 'injected' } } : { status: 200, body: { before: false } }
  }

  /** Durable before anybody hears of it. */
  #record(change: Change): void {
    writeSync(this.#journal, `${JSON.stringify(change)}\n`)
    fsyncSync(this.#journal)
    this.#apply(change)
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case 'open':
        this.#drafts.set(change.name, { entries: [], sealed: false })
        return
      case 'add':
        this.#drafts.get(change.name)?.entries.push(...change.entries)
        return
      case 'seal': {
        const draft = this.#drafts.get(change.name)
        if (draft !== undefined) draft.sealed = true
        return
      }
      case 'book':
        this.#booked.push(...(this.#drafts.get(change.name)?.entries ?? []))
        this.#drafts.delete(change.name)
        this.#receipts.add(change.name)
        return
      case 'discard':
        this.#drafts.delete(change.name)
        return
      case 'forget':
        this.#receipts.delete(change.name)
        return
      case 'take':
        this.#booked = []
        return
      default:
        throw new Error(`unknown change ${JSON.stringify(change satisfies never)}`)
    }
  }
}

if (import.meta.main) {
  const [journal = 'ledger', port = '0'] = process.argv.slice(2)
  console.log((await Ledger.start(journal, Number(port))).url)
}
