/** Finds the rules that could mean a request, without asking each of a thousand. */
import type { HttpRequest } from '../exchange.ts'
import { Lru } from '../internal/lru.ts'
import type { ExchangeFilter } from './filter.ts'
import { locate } from './request-location.ts'
import type { RequestLocation } from './request-location.ts'

/** What a filter demands literally of a URL. Only what is certain: a rule that is looked up too often does no harm. */
export interface IndexKey {
  readonly by: 'href' | 'path' | 'pathAndQuery' | 'host' | 'segment' | 'hostAndSegment'
  readonly value: string
}

const NAME = String.raw`[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?`
/** What means nothing but itself in a pattern, and is the same in every spelling of a URL. */
const PLAIN = String.raw`[\w.~%!$&'()+,;=:@/-]`
const PLAIN_URL = new RegExp(`^https?://${NAME}(?::\\d+)?/${PLAIN}*(?:\\?(?:${PLAIN}|\\?)*)?$`)
const PLAIN_PATH = new RegExp(`^/${PLAIN}*(?:\\?(?:${PLAIN}|\\?)*)?$`)
const URL_OF_HOST = new RegExp(`^https?://(${NAME})(?::\\d+)?/`)
const PLAIN_HOST = new RegExp(`^(${NAME})(?::\\d+)?$`)
/** Scheme and authority of a pattern. */
const ORIGIN = /^[^/?]*:\/\/[^/]*/
/** A segment of a path, or of a query with slashes, in which nothing is left open. */
const PLAIN_SEGMENT = new RegExp(`(?<=/)${PLAIN.replace('/', '')}+(?=[/?]|$)`, 'g')

/** What a filter demands literally; undefined when it is nothing that can be looked up. */
export function indexKeyOf(filter: ExchangeFilter): IndexKey | undefined {
  if (typeof filter === 'string') return literalsOf(filter, undefined)
  if (typeof filter !== 'object' || filter instanceof RegExp) return undefined
  const { url, path, host } = filter
  const pattern = typeof url === 'string' ? url : typeof path === 'string' ? path : undefined
  return literalsOf(pattern, typeof host === 'string' ? host : undefined)
}

/** @param pattern - Of a URL or a path. */
function literalsOf(written: string | undefined, hostPattern: string | undefined): IndexKey | undefined {
  const pattern = written?.replace(/^ws(?=s?:)/i, 'http')
  if (pattern !== undefined && PLAIN_URL.test(pattern)) return { by: 'href', value: locate(pattern).href }
  if (pattern !== undefined && PLAIN_PATH.test(pattern)) {
    return { by: pattern.includes('?') ? 'pathAndQuery' : 'path', value: pattern }
  }
  const host = URL_OF_HOST.exec(pattern ?? '')?.[1] ?? PLAIN_HOST.exec(hostPattern ?? '')?.[1]
  const segment = pattern === undefined ? undefined : segmentOf(pattern)
  if (host !== undefined && segment !== undefined) return { by: 'hostAndSegment', value: `${host}/${segment}` }
  if (segment !== undefined) return { by: 'segment', value: segment }
  return host === undefined ? undefined : { by: 'host', value: host }
}

/** The longest segment that every URL of a pattern has. */
function segmentOf(pattern: string): string | undefined {
  // In braces there are others to choose from, and a backslash may stand before anything.
  if (/[{}\\]/.test(pattern)) return undefined
  const segments = pattern.replace(ORIGIN, '').match(PLAIN_SEGMENT) ?? []
  return segments.toSorted((one, other) => other.length - one.length)[0]
}

/** Something with its place in the order. */
interface Placed<Item> {
  readonly place: number
  readonly item: Item
}

/** What is known of the items that could mean an address. */
interface Candidates<Item> {
  readonly plain: readonly Placed<Item>[]
  /** Those that demand a header field. */
  readonly byField: ReadonlyMap<string, readonly Placed<Item>[]>
}

/** What an index asks of items. */
interface Asked<Item> {
  /** Whether method and URL leave it open that the item means them. */
  readonly means: (item: Item) => boolean
  /** The header field that it demands, if any. */
  readonly fieldOf: (item: Item) => string | undefined
}

/** Most addresses of which is known which items could mean them. */
const MAX_ADDRESSES = 500

/** A list of items, by what their filters demand. It never changes. */
export class RuleIndex<Item> {
  readonly #byKey: { readonly [By in IndexKey['by']]: Map<string, Placed<Item>[]> } = {
    href: new Map(),
    path: new Map(),
    pathAndQuery: new Map(),
    host: new Map(),
    segment: new Map(),
    hostAndSegment: new Map(),
  }
  readonly #others: Placed<Item>[] = []
  readonly #known = new Lru<string, Candidates<Item>>(MAX_ADDRESSES)

  /** @param keyOf - What the filter of an item demands; undefined: it is always a candidate. */
  constructor(items: readonly Item[], keyOf: (item: Item) => IndexKey | undefined) {
    for (const [place, item] of items.entries()) {
      const key = keyOf(item)
      const bucket = key ? this.#bucket(key) : this.#others
      bucket.push({ place, item })
    }
  }

  #bucket({ by, value }: IndexKey): Placed<Item>[] {
    const map = this.#byKey[by]
    let bucket = map.get(value)
    if (!bucket) map.set(value, (bucket = []))
    return bucket
  }

  /**
   * As {@link RuleIndex.candidates}, and without those that method and URL tell not to be meant, which is found out once
   * for each; and without those that demand a header field which is not there.
   */
  candidatesFor(request: Pick<HttpRequest, 'method' | 'url' | 'headers'>, of: Asked<Item>): readonly Item[] {
    const { method, url } = request
    const address = `${method} ${url}`
    let known = this.#known.get(address)
    if (!known) this.#known.set(address, (known = this.#meant(url, of)))
    const { plain, byField } = known
    let found = plain
    for (const [field, placed] of byField) if (request.headers[field] !== undefined) found = [...found, ...placed]
    return (found === plain ? plain : found.toSorted(byPlace)).map(itemOf)
  }

  #meant(url: string, { means, fieldOf }: Asked<Item>): Candidates<Item> {
    const plain: Placed<Item>[] = []
    const byField = new Map<string, Placed<Item>[]>()
    for (const placed of this.#placed(locate(url))) {
      if (!means(placed.item)) continue
      const field = fieldOf(placed.item)
      if (field === undefined) plain.push(placed)
      else byField.set(field, [...(byField.get(field) ?? []), placed])
    }
    return { plain, byField }
  }

  /** Those that could mean a request to this place, in their order. */
  candidates(location: RequestLocation): readonly Item[] {
    return this.#placed(location).map(itemOf)
  }

  #placed(location: RequestLocation): readonly Placed<Item>[] {
    const { href, path, pathAndQuery, host, segment, hostAndSegment } = this.#byKey
    const found: Placed<Item>[][] = []
    const add = (bucket: Placed<Item>[] | undefined): void => {
      if (bucket && bucket.length > 0) found.push(bucket)
    }
    add(href.get(location.href))
    add(path.get(location.path))
    add(pathAndQuery.get(location.pathAndQuery))
    add(host.get(location.host))
    add(this.#others)
    if (segment.size > 0 || hostAndSegment.size > 0) {
      for (const each of new Set(location.pathAndQuery.split(/[/?]/))) {
        add(segment.get(each))
        add(hostAndSegment.get(`${location.host}/${each}`))
      }
    }
    return found.length > 1 ? found.flat().toSorted(byPlace) : (found[0] ?? [])
  }
}

function byPlace(one: Placed<unknown>, other: Placed<unknown>): number {
  return one.place - other.place
}

function itemOf<Item>({ item }: Placed<Item>): Item {
  return item
}
