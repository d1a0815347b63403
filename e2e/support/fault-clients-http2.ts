/** What the clients of Node report of a fault where they speak HTTP/2: undici's `fetch` with `allowH2`, and `node:http2`. */
import { connect, constants } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { fetch, ProxyAgent } from 'undici'
import type { TestMitm } from 'playwright-mitm/core'
import { judge } from './fault-case.ts'
import type { FaultCase, Seen } from './fault-case.ts'
import { codeOf, openTunnel } from './fault-clients.ts'
import type { Asking } from './fault-clients.ts'
import { urlOf } from './fault-origin.ts'

/** Asks with undici, by HTTP/2. */
export function askByUndiciHttp2(mitm: TestMitm, row: FaultCase, signal: AbortSignal, ca: string): Asking {
  let hasHead = false
  const agent = new ProxyAgent({ uri: mitm.url, allowH2: true, proxyTunnel: true, requestTls: { ca, allowH2: true } })
  const ask = async (): Promise<Seen> => {
    const startMs = performance.now()
    try {
      const init = row.uploads ? { method: 'POST', body: 'u'.repeat(row.uploads) } : {}
      const response = await fetch(urlOf(row), { ...init, signal, dispatcher: agent })
      hasHead = true
      return judge(response.status, await response.text(), performance.now() - startMs, row.lateMs)
    } catch (error) {
      return `${hasHead ? 'body: ' : ''}${codeOf(error)}`
    } finally {
      agent.destroy().catch(() => undefined)
    }
  }
  return { hasHead: () => hasHead, seen: ask() }
}

/** Asks with `node:http2` in a tunnel. */
export function askByHttp2(mitm: TestMitm, row: FaultCase, signal: AbortSignal, ca: string): Asking {
  let hasHead = false
  let session: ClientHttp2Session | undefined
  const ask = async (): Promise<Seen> => {
    try {
      session = await openSession(mitm, row, signal, ca)
      const startMs = performance.now()
      const { status, body } = await answerOf(session, row, signal, () => (hasHead = true))
      return judge(status, body, performance.now() - startMs, row.lateMs)
    } catch (error) {
      return `${hasHead ? 'body: ' : ''}${codeOf(error)}`
    } finally {
      session?.destroy()
    }
  }
  return { hasHead: () => hasHead, seen: ask() }
}

async function openSession(
  mitm: TestMitm,
  row: FaultCase,
  signal: AbortSignal,
  ca: string,
): Promise<ClientHttp2Session> {
  const { hostname, origin } = urlOf(row)
  const { socket, status } = await openTunnel(mitm, hostname, signal)
  if (!socket) throw new Error(`status ${status}`)
  const tls: TLSSocket = connectTls({ socket, servername: hostname, ca, ALPNProtocols: ['h2', 'http/1.1'] })
  await new Promise<void>((resolve, reject) => tls.once('secureConnect', resolve).once('error', reject))
  return connect(origin, { createConnection: () => tls })
}

/** The answer to a request. Rejects with the error of its session, or else of its stream. */
function answerOf(
  session: ClientHttp2Session,
  row: FaultCase,
  signal: AbortSignal,
  onHead: () => void,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    let status = 0
    let ofSession: Error | undefined
    const chunks: Buffer[] = []
    session.on('error', (error) => (ofSession = error))
    const headers = { ':method': row.uploads ? 'POST' : 'GET', ':path': urlOf(row).pathname }
    const stream: ClientHttp2Stream = session.request(headers, { endStream: !row.uploads, signal })
    stream.on('response', (head) => {
      status = head[':status'] ?? 0
      onHead()
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', (error) => reject(ofSession ?? error))
    stream.on('close', () => {
      // Some ends are no errors to Node.
      const { rstCode } = stream
      if (status === 0 || rstCode !== 0) reject(ofSession ?? new Error(`closes with ${nameOf(rstCode)}`))
      else resolve({ status, body: Buffer.concat(chunks).toString() })
    })
    if (row.uploads) stream.end('u'.repeat(row.uploads))
  })
}

/** The ends of a stream that are no errors to Node. */
function nameOf(code: number): string {
  if (code === constants.NGHTTP2_NO_ERROR) return 'NO_ERROR'
  return code === constants.NGHTTP2_CANCEL ? 'CANCEL' : String(code)
}
