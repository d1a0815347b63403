/** The client's side of one HTTP/2 connection through a proxy. */
import { connect } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import type { SecureContext } from 'node:tls'

import { HTTP2_HOST, HTTP2_REQUEST, SMALL_BODY } from './messages.ts'
import { openTunnel } from './tunnel.ts'

/** Requests on one connection, many at once. */
export class Http2Load {
  readonly #session: ClientHttp2Session

  private constructor(session: ClientHttp2Session) {
    this.#session = session
  }

  static async open(proxyPort: number, trust: SecureContext): Promise<Http2Load> {
    const socket = await openTunnel(proxyPort, HTTP2_HOST, trust, 'h2')
    const session = connect(`https://${HTTP2_HOST}`, { createConnection: () => socket })
    // Told by the streams that it breaks.
    session.on('error', () => undefined)
    return new Http2Load(session)
  }

  /** Sends `count` requests, `streams` at once: each that is answered makes room for the next. */
  run(count: number, streams: number): Promise<void> {
    let left = count
    let pending = 0
    return new Promise((resolve, reject) => {
      const send = (): void => {
        if (left === 0) {
          if (pending === 0) resolve()
          return
        }
        left--
        pending++
        const stream = this.#session.request(HTTP2_REQUEST)
        let body = ''
        stream.setEncoding('latin1')
        stream.on('data', (text: string) => (body += text))
        stream.on('error', reject)
        stream.on('close', () => {
          pending--
          if (body === SMALL_BODY) send()
          else reject(new Error(`Got another response than expected: ${body}`))
        })
      }
      for (let at = 0; at < streams; at++) send()
    })
  }

  close(): void {
    this.#session.destroy()
  }
}
