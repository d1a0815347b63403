/** `fetch` for the test itself and for its handlers, through its mitm. */
import type { fetch as undiciFetch, ProxyAgent } from 'undici'

import { TEST_FIELD } from './source.ts'
import { trustContext } from './tls/trust.ts'

/** undici's `fetch`, and what it is to be called with. */
export interface TestAgent {
  readonly fetch: typeof undiciFetch
  /** Keeps connections; the caller closes it. */
  readonly agent: ProxyAgent
}

/**
 * Makes it.
 *
 * @param url - Of the mitm.
 * @param certificates - In PEM, trusted beside Node's roots.
 * @param maker - Who says to have made its requests. @defaultValue the test
 */
export async function makeTestAgent(url: string, certificates: readonly string[], maker = 'yes'): Promise<TestAgent> {
  // Not before it is needed: undici takes a while to load.
  const { fetch, ProxyAgent: Agent } = await import('undici')
  // Reading the roots takes milliseconds: once, not for each connection.
  const requestTls = { secureContext: trustContext({ ca: certificates }) }
  // These fields go with CONNECT alone, which stands before plain HTTP too.
  return { fetch, agent: new Agent({ uri: url, proxyTunnel: true, headers: { [TEST_FIELD]: maker }, requestTls }) }
}
