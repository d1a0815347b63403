/** `fetch` of a program through a mitm, in either version of HTTP: as a server process that uses the mitm as its proxy. */
import { fetch, ProxyAgent } from 'undici'

import type { TestMitm } from '../test-mitm.ts'

/** A version of HTTP that a program speaks where it can. */
export type FetchVersion = 'HTTP/1.1' | 'HTTP/2'

/** What fetches, until it is disposed of. */
export interface ProgramFetch extends AsyncDisposable {
  fetch(url: string, init?: Parameters<typeof fetch>[1]): ReturnType<typeof fetch>
}

/** Makes it. Connections are kept alive. */
export async function programFetch(mitm: TestMitm, version: FetchVersion = 'HTTP/1.1'): Promise<ProgramFetch> {
  const { certificate } = await mitm.certificateAuthority()
  const agent = new ProxyAgent({
    uri: mitm.url,
    // A boundary: the connector takes it, and its types do not tell.
    requestTls: { ca: certificate, allowH2: version === 'HTTP/2' } as NonNullable<ProxyAgent.Options['requestTls']>,
    proxyTunnel: true,
  })
  return {
    fetch: (url, init) => fetch(url, { ...init, dispatcher: agent }),
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}
