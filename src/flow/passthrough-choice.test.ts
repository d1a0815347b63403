/** Which TLS is opened and which is passed through, on the wire: by the name that is asked for, and by the tunnel. */
import { describe, expect, it } from 'vitest'

import { startMitm } from '../test-mitm.ts'
import type { TestMitmOptions } from '../test-mitm.ts'
import { connectTo, secureWire, socksTo, takeResponse, tunnelTo } from '../testing/clients.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import { httpServer } from '../testing/servers.ts'

type Asked = { readonly tunnel?: string; readonly servername: string }

/** Who showed the client its certificate: the server itself, or the mitm. */
async function whoAnswers(options: TestMitmOptions, { tunnel, servername }: Asked): Promise<'server' | 'mitm'> {
  await using origin = await httpServer(undefined, await identityFor(servername || 'pinned.test'))
  const { certificate: ca } = await originAuthority()
  await using mitm = await startMitm({
    hosts: { '*.test': origin.authority, '127.9.9.9': origin.authority, 'localhost:443': origin.authority },
    upstream: { ca, rejectUnauthorized: false },
    ...options,
  })
  const wire = tunnel === undefined ? await connectTo(mitm) : await tunnelTo(mitm, tunnel)
  const client = await secureWire(wire, { servername, rejectUnauthorized: false })
  client.write('GET http://pinned.test/ HTTP/1.1\r\nHost: pinned.test\r\nConnection: close\r\n\r\n')
  if (tunnel !== undefined) expect((await takeResponse(client)).status).toBe(200)
  const answers = client.socket.getPeerCertificate().issuer.CN === 'Origin test CA' ? 'server' : 'mitm'
  const isPassedThrough = mitm.connections[0]?.layers.includes('tls-passthrough') === true
  expect(isPassedThrough).toBe(answers === 'server')
  return answers
}

describe('passthrough', () => {
  it.each<[string, Asked, 'server' | 'mitm']>([
    ['the name asked for, and the tunnel', { tunnel: 'pinned.test:443', servername: 'pinned.test' }, 'server'],
    ['the name asked for alone', { tunnel: '127.9.9.9:443', servername: 'pinned.test' }, 'server'],
    ['the name asked for, in another tunnel', { tunnel: 'api.test:443', servername: 'pinned.test' }, 'server'],
    ['the tunnel, where another name is asked for', { tunnel: 'pinned.test:443', servername: 'api.test' }, 'server'],
    ['the tunnel, where no name is asked for', { tunnel: 'pinned.test:443', servername: '' }, 'server'],
    ['the name asked for without a tunnel', { servername: 'pinned.test' }, 'server'],
    ['neither', { tunnel: 'api.test:443', servername: 'api.test' }, 'mitm'],
    ['neither, without a tunnel', { servername: 'api.test' }, 'mitm'],
    ['no name at all', { servername: '' }, 'mitm'],
  ])('goes by %s', async (_, asked, who) => {
    expect(await whoAnswers({ passthrough: ['pinned.test'] }, asked)).toBe(who)
  })

  it('goes by the port of the tunnel', async () => {
    const options = { passthrough: ['pinned.test:8443'] }
    expect(await whoAnswers(options, { tunnel: 'pinned.test:8443', servername: 'pinned.test' })).toBe('server')
    expect(await whoAnswers(options, { tunnel: 'pinned.test:443', servername: 'pinned.test' })).toBe('mitm')
  })
})

describe('intercept', () => {
  it.each<[string, Asked, 'server' | 'mitm']>([
    ['what it names', { tunnel: 'api.test:443', servername: 'api.test' }, 'mitm'],
    ['what it names by the tunnel', { tunnel: 'api.test:443', servername: 'pinned.test' }, 'mitm'],
    ['nothing else', { tunnel: 'pinned.test:443', servername: 'pinned.test' }, 'server'],
    ['the TLS of a proxy, for clients that name it', { servername: 'localhost' }, 'mitm'],
    ['the TLS of a proxy, for clients that name nobody', { servername: '' }, 'mitm'],
  ])('opens %s', async (_, asked, who) => {
    expect(await whoAnswers({ intercept: ['api.test'] }, asked)).toBe(who)
  })

  it('gives way to passthrough', async () => {
    const options = { intercept: ['api.test'], passthrough: ['*.test'] }
    expect(await whoAnswers(options, { tunnel: 'api.test:443', servername: 'api.test' })).toBe('server')
  })

  it('of nobody passes all TLS through, and opens other layers all the same', async () => {
    await using secured = await httpServer(undefined, await identityFor('pinned.test'))
    await using plain = await httpServer()
    await using mitm = await startMitm({
      hosts: { 'pinned.test': secured.authority, 'plain.test': plain.authority },
      intercept: [],
    })
    const client = await socksTo(mitm, 'plain.test', 80)
    client.write('GET /a HTTP/1.1\r\nHost: plain.test\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
    const { certificate: ca } = await originAuthority()
    await secureWire(await socksTo(mitm, 'pinned.test', 443), { ca, servername: 'pinned.test' })
    expect(mitm.connections.map(({ layers }) => layers)).toEqual([
      ['socks5', 'http/1.1'],
      ['socks5', 'tls-passthrough'],
    ])
  })
})
