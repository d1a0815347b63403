/** Which field sections are none that a message can have (RFC 9113 section 8.1.1). Does no I/O. */
import type { Field } from '../../exchange.ts'
import { ERROR_CODE } from './frame.ts'

/** Whose section it is. */
export type SectionKind = 'request' | 'response' | 'trailers'

const COLON = 0x3a
const NO_FIELD: Field = ['', '']
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const BAD_VALUE = /[\0\r\n]/
const REQUEST_PSEUDO: ReadonlySet<string> = new Set([':method', ':scheme', ':authority', ':path', ':protocol'])
const RESPONSE_PSEUDO: ReadonlySet<string> = new Set([':status'])
const NO_PSEUDO: ReadonlySet<string> = new Set()
/** Fields that are about one connection, and mean nothing here (RFC 9113 section 8.2.2). */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** Names that were found good: heads repeat them. */
const goodNames = new Set<string>()
/** Names are the endpoints' to make. */
const MOST_NAMES = 1000

/** Why a section is none, if so. */
export function malformed(section: readonly Field[], kind: SectionKind): string | undefined {
  const pseudo = kind === 'request' ? REQUEST_PSEUDO : kind === 'response' ? RESPONSE_PSEUDO : NO_PSEUDO
  let isBehind = false
  for (let at = 0; at < section.length; at++) {
    const [name, value] = section[at] ?? NO_FIELD
    if (name.charCodeAt(0) === COLON) {
      if (isBehind || !pseudo.has(name)) return `a field ${name} where there can be none`
      for (let before = 0; before < at; before++) if (section[before]?.[0] === name) return `several fields ${name}`
    } else {
      isBehind = true
      if (!goodNames.has(name)) {
        if (!NAME.test(name)) return 'a name that is none'
        if (CONNECTION_FIELDS.has(name)) return `a field ${name}`
        if (goodNames.size < MOST_NAMES) goodNames.add(name)
      }
      if (name === 'te' && value.trim().toLowerCase() !== 'trailers') return 'a field te'
    }
    if (BAD_VALUE.test(value)) return `a value of ${name} with an end of line`
  }
  if (kind === 'response') return /^[1-9]\d\d$/.test(section[0]?.[1] ?? '') ? undefined : 'no status'
  return kind === 'request' ? incomplete(section) : undefined
}

/** The error code for a section that cannot be taken. @param section - Undefined when it is longer than is taken. */
export function refusalOf(section: readonly Field[] | undefined, kind: SectionKind): number | undefined {
  if (!section) return ERROR_CODE.enhanceYourCalm
  return malformed(section, kind) === undefined ? undefined : ERROR_CODE.protocolError
}

/** RFC 9113 sections 8.3.1 and 8.5, RFC 8441 section 4. */
function incomplete(section: readonly Field[]): string | undefined {
  let method: string | undefined
  let authority: string | undefined
  let scheme: string | undefined
  let path: string | undefined
  let isExtended = false
  for (const [name, value] of section) {
    if (name === ':method') method = value
    else if (name === ':authority') authority = value
    else if (name === ':scheme') scheme = value
    else if (name === ':path') path = value
    else if (name === ':protocol') isExtended = true
    else if (!name.startsWith(':')) break
  }
  if (!method) return 'no method'
  if (method === 'CONNECT' && !isExtended) return authority ? undefined : 'a CONNECT to nowhere'
  if (isExtended && method !== 'CONNECT') return 'a protocol without CONNECT'
  return scheme && path ? undefined : 'no scheme or no path'
}
