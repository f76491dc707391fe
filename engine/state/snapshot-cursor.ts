/**
 * Goes over entries of a key group while records flow on: at each step either a record, at its place as of now, or another entry.
 */
import { entriesOf, type DirtyEntry, type Entry } from './entry.ts'
import type { KeyGroup } from './key-group-records.ts'
import { javaHash } from './key-group.ts'
import { WIDTH, type RecordPage, type RecordPlace } from './record-page.ts'

export interface SnapshotCursor extends RecordPlace {
  /** Undefined: the record at `page` and `at`. */
  readonly entry: Entry | undefined
  /** False at the end. */
  next(): boolean
}

/** What lists name. A record that is not there any more is passed over. */
export class ListedCursor implements SnapshotCursor {
  page: RecordPage
  at = -1
  entry: Entry | undefined
  readonly #group: KeyGroup
  readonly #listed: Iterator<DirtyEntry>

  constructor(group: KeyGroup, listed: Iterator<DirtyEntry>) {
    this.#group = group
    this.#listed = listed
    this.page = group.pageOf(0)
  }

  next(): boolean {
    for (;;) {
      const { done, value } = this.#listed.next()
      if (done === true) return false
      if (typeof value !== 'string') {
        this.entry = value
        return true
      }
      this.entry = undefined
      if (this.#group.find(value, javaHash(value), this)) return true
    }
  }
}

/** Everything of the group that was there when the cursor was made, but for clears. */
export class GroupCursor implements SnapshotCursor {
  page: RecordPage
  at = -1
  entry: Entry | undefined
  readonly #group: KeyGroup
  readonly #pages: readonly RecordPage[]
  #pageNumber = 0
  #next = 0
  #below: Iterator<Entry> | undefined

  constructor(group: KeyGroup) {
    this.#group = group
    this.#pages = group.pages()
    this.page = group.pageOf(0)
  }

  next(): boolean {
    const below = this.#below?.next()
    if (below?.done === false) {
      this.entry = below.value
      return true
    }
    this.#below = undefined
    this.entry = undefined
    for (let page = this.#pages[this.#pageNumber]; page !== undefined; page = this.#pages[this.#pageNumber]) {
      while (this.#next < page.words.length) {
        const at = this.#next
        this.#next += WIDTH
        if (page.isRecord(at) && this.#enter(page, at)) return true
      }
      this.#pageNumber += 1
      this.#next = 0
    }
    return false
  }

  #enter(page: RecordPage, at: number): boolean {
    this.page = page
    this.at = at
    if (page.isLeft) {
      const key = page.keyAt(at)
      if (!this.#group.find(key, javaHash(key), this)) return false
    }
    const parts = this.page.partsAt(this.at)
    if (parts?.bodies !== undefined) this.#below = entriesOf(parts)
    return true
  }
}
