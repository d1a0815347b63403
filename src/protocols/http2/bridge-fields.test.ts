import { describe, expect, it } from 'vitest'

import type { Field } from '../../exchange.ts'
import {
  fieldsOf,
  http1RequestFields,
  http2Fields,
  outgoing,
  requestPseudo,
  requestSection,
  responseHead,
  urlOfPseudo,
} from './bridge-fields.ts'

const DESTINATION = { host: 'a.test', port: 8443, tls: true }

describe('fields of HTTP/2', () => {
  it('are those that came, in order and with doubles, without the pseudo-fields', () => {
    const section: Field[] = [
      [':method', 'GET'],
      [':path', '/'],
      ['x-b', '1'],
      ['cookie', 'a=1'],
      ['x-a', '2'],
      ['cookie', 'b=2'],
    ]
    expect(fieldsOf(section)).toEqual([
      ['x-b', '1'],
      ['cookie', 'a=1'],
      ['x-a', '2'],
      ['cookie', 'b=2'],
    ])
  })

  it('tell the URL, by the authority or where the tunnel leads', () => {
    const pseudo = requestPseudo([
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', 'b.test'],
      [':path', '/x?y'],
    ])
    expect(urlOfPseudo(pseudo, DESTINATION)).toBe('https://b.test/x?y')
    expect(urlOfPseudo({ ...pseudo, authority: undefined }, DESTINATION)).toBe('https://a.test:8443/x?y')
    expect(urlOfPseudo({ ...pseudo, path: '*' }, DESTINATION)).toBe('https://b.test')
    expect(
      requestPseudo([
        [':method', 'GET'],
        ['host', 'c.test'],
      ]).authority,
    ).toBe('c.test')
  })
})

describe('outgoing()', () => {
  it('keeps doubles, and the order, behind the pseudo-fields', () => {
    const fields: Field[] = [
      ['set-cookie', 'a=1'],
      ['x-one', '1'],
      ['set-cookie', 'b=2'],
      ['x-one', '2'],
      ['content-type', 'text/html'],
      ['content-type', 'text/plain'],
    ]
    expect(outgoing(fields, [[':status', '200']])).toEqual([[':status', '200'], ...fields])
  })

  it('leaves out what is about one connection, and what Connection names', () => {
    const fields = outgoing([
      ['Connection', 'close, X-Hop'],
      ['keep-alive', 'timeout=5'],
      ['Transfer-Encoding', 'chunked'],
      ['Upgrade', 'h2c'],
      ['HTTP2-Settings', 'AAA'],
      ['proxy-connection', 'keep-alive'],
      ['x-hop', '1'],
      ['te', 'gzip'],
      ['X-End', '2'],
    ])
    expect(fields).toEqual([['x-end', '2']])
    expect(outgoing([['TE', 'Trailers']])).toEqual([['te', 'Trailers']])
  })
})

describe('sections', () => {
  const head = { method: 'GET', scheme: 'https', authority: 'a.test', path: '/', fields: [['x-a', '1'] as const] }

  it('of requests begin with what the client has said', () => {
    expect(requestSection(head)).toEqual([
      [':method', 'GET'],
      [':authority', 'a.test'],
      [':scheme', 'https'],
      [':path', '/'],
      ['x-a', '1'],
    ])
    expect(requestSection({ ...head, isByHost: true }).map(([name]) => name)).toEqual([
      ':method',
      ':scheme',
      ':path',
      'x-a',
    ])
  })

  it('of CONNECT have neither scheme nor path, unless they are extended', () => {
    expect(requestSection({ ...head, method: 'CONNECT' }).map(([name]) => name)).toEqual([
      ':method',
      ':authority',
      'x-a',
    ])
    const extended = requestSection({ ...head, method: 'CONNECT', protocol: 'websocket' })
    expect(extended.map(([name]) => name)).toEqual([':method', ':authority', ':scheme', ':path', ':protocol', 'x-a'])
  })

  it('of responses are heads', () => {
    const section: Field[] = [
      [':status', '404'],
      ['x-a', '1'],
    ]
    expect(responseHead(section, ['x-a'])).toEqual({
      status: 404,
      fields: [['x-a', '1']],
      sensitive: ['x-a'],
      isSound: true,
    })
  })
})

describe('between the versions', () => {
  it('a request to HTTP/1 has Host first, and one Cookie', () => {
    const fields = http1RequestFields(
      [
        ['cookie', 'a=1'],
        ['host', 'other.test'],
        ['te', 'trailers'],
        ['cookie', 'b=2'],
      ],
      'a.test',
    )
    expect(fields).toEqual([
      ['host', 'a.test'],
      ['te', 'trailers'],
      ['cookie', 'a=1; b=2'],
    ])
  })

  it('a response of HTTP/1 is in lower case, trimmed, without what is about its connection', () => {
    const fields = http2Fields([
      ['Content-Type', ' text/html '],
      ['Connection', 'keep-alive, x-hop'],
      ['X-Hop', '1'],
      ['Keep-Alive', 'timeout=5'],
      ['Transfer-Encoding', 'chunked'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ])
    expect(fields).toEqual([
      ['content-type', 'text/html'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ])
  })
})
