/**
 * Where the product makes errors that a user can meet, read off the source: the code and the message of each, with `<placeholders>` for
 * what only a run knows. Three forms are understood: `new Kind(message, { code: 'SLUICE_…' })`, a call that hands code and message on,
 * `refuse('SLUICE_…', message)`, and the same as an object, `{ code: 'SLUICE_…', reason: message }`.
 */
import {
  parseSync,
  Visitor,
  type Argument,
  type Expression,
  type NewExpression,
  type PrivateIdentifier,
  type Program,
} from 'oxc-parser'

export interface ErrorSite {
  readonly place: string
  /** The class; undefined where code and message are handed on. */
  readonly kind: string | undefined
  /** Undefined: none is given, so that of the cause counts, or the code is that of the caller. */
  readonly code: string | undefined
  /** More than one: the site chooses between them. */
  readonly messages: readonly string[]
}

/** `assert` apart: what a user can do about a bug of ours is the same for all of them. */
const KINDS = new Set([
  'Error',
  'CorruptCheckpointError',
  'FencedError',
  'InDoubtError',
  'InvariantViolation',
  'RetryableError',
  'SluiceError',
  'TaskFailure',
  'TerminalError',
])

type Node = Expression | Argument | PrivateIdentifier

export function errorSitesOf(file: string, source: string): readonly ErrorSite[] {
  const { program, errors } = parseSync(file, source)
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0]?.message ?? ''}`)
  const texts = constantTextsOf(program)
  const sites: ErrorSite[] = []
  const add = (at: number, kind: string | undefined, code: string | undefined, message: Node | undefined): void => {
    const place = `${file}:${source.slice(0, at).split('\n').length}`
    sites.push({ place, kind, code, messages: message === undefined ? ['<…>'] : messagesOf(message, texts) })
  }
  new Visitor({
    NewExpression: (node) => {
      if (node.callee.type !== 'Identifier' || !KINDS.has(node.callee.name)) return
      add(node.start, node.callee.name, codeGivenTo(node), node.arguments[0])
    },
    CallExpression: (node) => {
      const at = node.arguments.findIndex((one) => isCode(one))
      if (at >= 0) add(node.start, undefined, textOf(node.arguments[at]), node.arguments[at + 1])
    },
    ObjectExpression: (node) => {
      const code = propertyOf(node, 'code')
      const message = propertyOf(node, 'reason') ?? propertyOf(node, 'message')
      if (code !== undefined && message !== undefined && isCode(code)) add(node.start, undefined, textOf(code), message)
    },
  }).visit(program)
  return sites
}

/** What stands for a value is the same whatever it is called: documents name it for people. */
export function comparable(message: string): string {
  return message
    .replace(/<[^<>]*>/g, '<>')
    .replace(/\s+/g, ' ')
    .trim()
}

/** `{ code: 'X' }`, also `{ code: of(cause) ?? 'X' }`. */
function codeGivenTo(node: NewExpression): string | undefined {
  const options = node.arguments[1]
  if (options?.type !== 'ObjectExpression') return undefined
  const code = propertyOf(options, 'code')
  return textOf(code?.type === 'LogicalExpression' ? code.right : code)
}

function propertyOf(node: Expression & { readonly type: 'ObjectExpression' }, name: string): Expression | undefined {
  for (const one of node.properties) {
    if (one.type === 'Property' && one.key.type === 'Identifier' && one.key.name === name) return one.value
  }
  return undefined
}

function isCode(node: Node): boolean {
  return textOf(node)?.startsWith('SLUICE_') === true
}

function textOf(node: Node | undefined): string | undefined {
  return node?.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined
}

/** Constants of a file that are text and named once in it: what they say is part of a message. */
function constantTextsOf(program: Program): ReadonlyMap<string, Expression> {
  const seen = new Map<string, Expression | undefined>()
  new Visitor({
    VariableDeclaration: ({ kind, declarations }) => {
      for (const { id, init } of declarations) {
        if (id.type !== 'Identifier') continue
        seen.set(id.name, kind === 'const' && init !== null && isText(init) && !seen.has(id.name) ? init : undefined)
      }
    },
  }).visit(program)
  return new Map([...seen].flatMap(([name, init]) => (init === undefined ? [] : [[name, init] as const])))
}

function isText(node: Node): boolean {
  switch (node.type) {
    case 'Literal':
      return typeof node.value === 'string'
    case 'TemplateLiteral':
      return true
    case 'BinaryExpression':
      return node.operator === '+' && (isText(node.left) || isText(node.right))
    case 'ConditionalExpression':
      return isText(node.consequent) && isText(node.alternate)
    default:
      return false
  }
}

function messagesOf(node: Node, texts: ReadonlyMap<string, Expression>): readonly string[] {
  const named = node.type === 'Identifier' ? texts.get(node.name) : undefined
  if (named !== undefined) return messagesOf(named, texts)
  if (node.type !== 'ConditionalExpression') return [templateOf(node, texts)]
  return [node.consequent, node.alternate].flatMap((one) => messagesOf(one, texts))
}

function templateOf(node: Node, texts: ReadonlyMap<string, Expression>): string {
  switch (node.type) {
    case 'Literal':
      return String(node.value)
    case 'TemplateLiteral':
      return node.quasis
        .flatMap(({ value }, index) => {
          const inner = node.expressions[index]
          return [value.cooked ?? '', inner === undefined ? '' : templateOf(inner, texts)]
        })
        .join('')
    case 'BinaryExpression':
      if (!isText(node)) return `<${nameOf(node)}>`
      return templateOf(node.left, texts) + templateOf(node.right, texts)
    case 'Identifier': {
      const named = texts.get(node.name)
      return named === undefined || named.type === 'ConditionalExpression'
        ? `<${nameOf(node)}>`
        : templateOf(named, texts)
    }
    default:
      return `<${nameOf(node)}>`
  }
}

/** A first proposal for people. */
function nameOf(node: Node): string {
  switch (node.type) {
    case 'Identifier':
      return wordsOf(node.name)
    case 'MemberExpression': {
      const { property } = node
      if (property.type !== 'Identifier' && property.type !== 'PrivateIdentifier') return nameOf(node.object)
      const { name } = property
      if (name === 'message') return 'reason'
      return ['uri', 'id', 'join'].includes(name) ? nameOf(node.object) : wordsOf(name)
    }
    case 'CallExpression': {
      if (node.callee.type === 'MemberExpression' && node.callee.object.type !== 'Identifier')
        return nameOf(node.callee)
      if (node.callee.type === 'Identifier' && node.callee.name === 'messageOf') return 'reason'
      const [first] = node.arguments
      return first === undefined ? '…' : nameOf(first)
    }
    case 'LogicalExpression':
    case 'BinaryExpression':
      return nameOf(node.left)
    case 'ThisExpression':
      return 'id'
    default:
      return '…'
  }
}

function wordsOf(name: string): string {
  return name.toLowerCase() === 'error'
    ? 'reason'
    : name
        .replace(/([a-z])([A-Z])/g, '$1 $2')
        .replaceAll('_', ' ')
        .toLowerCase()
}
