/**
 * What the clients of Node report of a fault: undici's `fetch` through a ProxyAgent, and `node:https` through CONNECT. Those of
 * HTTP/2 are in `fault-clients-http2.ts`.
 */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { TestMitm } from 'playwright-mitm/core'
import { expectedOf, judge } from './fault-case.ts'
import type { Client, FaultCase, Seen } from './fault-case.ts'
import { urlOf } from './fault-origin.ts'

/** A request under way. */
export interface Asking {
  /** Whether the head of a response has come. */
  readonly hasHead: () => boolean | Promise<boolean>
  /** Never rejects. */
  readonly seen: Promise<Seen>
}

/** So many connections nobody makes for one request. */
const WITHOUT_END = 20
/** Longer than any client here takes for what is not a hang. */
const HANG_MS = 300
const PATIENCE_MS = 8000

/** Whether a fault of this name has acted in a mitm. */
export function hasActed(mitm: TestMitm, name: string): boolean {
  const records = [...mitm.exchanges, ...mitm.connections]
  return records.some(({ faults }) => faults.some((fault) => fault.name === name))
}

/**
 * What came of a request. Where a hang is expected, it is one when nothing has come for a while after the fault has acted;
 * else it is one when nothing comes for very long.
 */
export async function outcome(
  asking: Asking,
  { mitm, row, client, name }: { mitm: TestMitm; row: FaultCase; client: Client; name: string },
): Promise<Seen> {
  const endless = expectedOf(row, client).filter((seen) => seen.endsWith('hangs') || seen === 'connects without end')
  const hang = async (): Promise<Seen> => {
    const deadline = performance.now() + PATIENCE_MS
    const isWithoutEnd = (): boolean => mitm.connections.length >= WITHOUT_END
    const isAwaited = (): boolean => (endless.includes('connects without end') ? isWithoutEnd() : hasActed(mitm, name))
    while (performance.now() < deadline && (endless.length === 0 || !isAwaited())) await delay(10)
    if (isWithoutEnd()) return 'connects without end'
    if (endless.length > 0) await delay(HANG_MS)
    return (await asking.hasHead()) ? 'body: hangs' : 'hangs'
  }
  return Promise.race([asking.seen, hang()])
}

/** Asks with `mitm.fetch`. */
export function askByUndici(mitm: TestMitm, row: FaultCase, signal: AbortSignal): Asking {
  let hasHead = false
  const ask = async (): Promise<Seen> => {
    const startMs = performance.now()
    try {
      const init = row.uploads ? { method: 'POST', body: 'u'.repeat(row.uploads) } : {}
      const response = await mitm.fetch(urlOf(row), { ...init, signal })
      hasHead = true
      return judge(response.status, await response.text(), performance.now() - startMs, row.lateMs)
    } catch (error) {
      return `${hasHead ? 'body: ' : ''}${codeOf(error)}`
    }
  }
  return { hasHead: () => hasHead, seen: ask() }
}

/** Asks with `node:https` in a tunnel. */
export function askByHttps(mitm: TestMitm, row: FaultCase, signal: AbortSignal, ca: string): Asking {
  let stage: 'tunnel' | 'request' | 'body' = 'tunnel'
  const ask = async (): Promise<Seen> => {
    const startMs = performance.now()
    try {
      const { status, socket } = await openTunnel(mitm, urlOf(row).hostname, signal)
      if (!socket) return `tunnel: status ${status}`
      stage = 'request'
      const { response, over } = await askIn(socket, row, signal, ca)
      stage = 'body'
      // A response may end well, and its request with an error; or both with one, the request first and more telling.
      const [body] = await Promise.all([bodyOf(response), over])
      if (response.headers['content-encoding'] !== undefined) return 'succeeds, not decoded'
      return judge(response.statusCode ?? 0, body, performance.now() - startMs, row.lateMs)
    } catch (error) {
      return `${stage === 'request' ? '' : `${stage}: `}${codeOf(error)}`
    }
  }
  return { hasHead: () => stage === 'body', seen: ask() }
}

/** Opens a tunnel. @returns The status, and the socket if that is 200. */
export async function openTunnel(
  mitm: TestMitm,
  host: string,
  signal: AbortSignal,
): Promise<{ status: number; socket: Duplex | undefined }> {
  const path = `${host}:443`
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      port: mitm.port,
      method: 'CONNECT',
      path,
      headers: { host: path },
      agent: false,
      signal,
    })
    request.on('connect', ({ statusCode = 0 }, socket) => {
      const isOpen = statusCode === 200
      if (!isOpen) socket.destroy()
      resolve({ status: statusCode, socket: isOpen ? socket : undefined })
    })
    request.on('error', reject)
    request.end()
  })
}

/** The response to a request, and the end of the request, which rejects with its error. */
async function askIn(
  socket: Duplex,
  row: FaultCase,
  signal: AbortSignal,
  ca: string,
): Promise<{ response: IncomingMessage; over: Promise<void> }> {
  const { hostname, pathname } = urlOf(row)
  const request = httpsRequest({
    host: hostname,
    path: pathname,
    method: row.uploads ? 'POST' : 'GET',
    signal,
    createConnection: () => connectTls({ socket, servername: hostname, ca }),
  })
  const over = new Promise<void>((resolve, reject) => {
    request.on('error', reject)
    request.on('upgrade', () => reject(Object.assign(new Error('Upgraded'), { code: 'upgraded' })))
    request.on('close', resolve)
  })
  const response = new Promise<IncomingMessage>((resolve) => request.on('response', resolve))
  request.end(row.uploads ? 'u'.repeat(row.uploads) : undefined)
  const failed = over.then(() => Promise.reject(new Error('Closed without a response')))
  return { response: await Promise.race([response, failed]), over }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** The code of an error, or of what it is due to, or else its name or message. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // HTTP/2 has one code for all that may befall a stream; what it was is in the text.
  const http2 = /\bNGHTTP2_\w+/.exec(error.message)?.[0]
  if (http2) return http2
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error.cause !== undefined) return codeOf(error.cause)
  return ['Error', 'TypeError'].includes(error.name) ? error.message : error.name
}
