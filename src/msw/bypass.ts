/** `bypass()` and `server.connect()` of MSW: requests of handlers that are for the real server. */
import { AsyncLocalStorage } from 'node:async_hooks'

import type { Exchange, Field } from '../exchange.ts'
import type { Rewrite, RewrittenRequest } from '../middleware.ts'
import type { RealServers } from './real-servers.ts'

/** What MSW marks a request with that no handler is to be asked about: a media type in `accept`. */
const MARK = 'msw/passthrough'

/** For which mitm a handler is running. */
const scope = new AsyncLocalStorage<RealServers>()

/** How many mitms look at what is fetched, and what stops that. */
let users = 0
let putBack: () => void = () => undefined

/** Runs a handler, so that what it marks by `bypass()` goes to the real servers of its mitm. */
export function withRealServers<Made>(servers: RealServers, run: () => Made): Made {
  return scope.run(servers, run)
}

/**
 * Looks at what is fetched in this process, from now on: MSW has no other way to say which request is for the real server.
 * What no handler sends, and what is not marked, goes the way it went before.
 *
 * @returns What stops that. The last one puts `fetch` back, unless somebody else has replaced it since.
 */
export function watchFetch(): () => void {
  if (users++ === 0) putBack = replaceFetch()
  let isOver = false
  return () => {
    if (isOver) return
    isOver = true
    if (--users === 0) putBack()
  }
}

/** A new one each time: what somebody else has put around an earlier one still leads to what was there before that. */
function replaceFetch(): () => void {
  const before = globalThis.fetch
  const bypassingFetch: typeof globalThis.fetch = (input, init) => {
    const servers = scope.getStore()
    if (servers && isRequest(input) && isMarkedText(input.headers.get('accept'))) {
      return servers.fetch(withoutMark(new Request(input, init)))
    }
    return before(input, init)
  }
  globalThis.fetch = bypassingFetch
  return () => {
    if (globalThis.fetch === bypassingFetch) globalThis.fetch = before
  }
}

/** Whether a client has marked its request as one that no handler is to be asked about. */
export function isMarked({ request }: Exchange): boolean {
  return isMarkedText(request.header('accept'))
}

/** Takes the mark off a request on its way to the server. */
export const unmark: Rewrite<RewrittenRequest> = {
  needsBody: false,
  apply: (message) => ({
    ...message,
    fields: message.fields.flatMap(([name, value]): Field[] => {
      if (!/^accept$/i.test(name) || !isMarkedText(value)) return [[name, value]]
      const rest = unmarked(value)
      return rest === '' ? [] : [[name, rest]]
    }),
  }),
}

function isRequest(input: unknown): input is Request {
  return typeof input === 'object' && input !== null && 'headers' in input && input.headers instanceof Headers
}

function isMarkedText(accept: string | null | undefined): boolean {
  return accept?.includes(MARK) === true
}

function withoutMark(request: Request): Request {
  const headers = new Headers(request.headers)
  const rest = unmarked(headers.get('accept') ?? '')
  if (rest === '') headers.delete('accept')
  else headers.set('accept', rest)
  return new Request(request, { headers })
}

function unmarked(accept: string): string {
  return accept
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '' && each !== MARK)
    .join(', ')
}
