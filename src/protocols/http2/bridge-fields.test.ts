import { sensitiveHeaders } from 'node:http2'

import { describe, expect, it } from 'vitest'

import {
  fieldsOf,
  http1RequestFields,
  http2Fields,
  outgoing,
  requestPseudo,
  sensitiveNames,
  urlOfPseudo,
} from './bridge-fields.ts'

const DESTINATION = { host: 'a.test', port: 8443, tls: true }

describe('fields of HTTP/2', () => {
  it('are those that came, in order and with doubles, without the pseudo-fields', () => {
    const raw = [':method', 'GET', ':path', '/', 'x-b', '1', 'cookie', 'a=1', 'x-a', '2', 'cookie', 'b=2']
    expect(fieldsOf(raw)).toEqual([
      ['x-b', '1'],
      ['cookie', 'a=1'],
      ['x-a', '2'],
      ['cookie', 'b=2'],
    ])
  })

  it('tell the URL, by the authority or where the tunnel leads', () => {
    const pseudo = requestPseudo({ ':method': 'GET', ':scheme': 'https', ':authority': 'b.test', ':path': '/x?y' })
    expect(urlOfPseudo(pseudo, DESTINATION)).toBe('https://b.test/x?y')
    expect(urlOfPseudo({ ...pseudo, authority: undefined }, DESTINATION)).toBe('https://a.test:8443/x?y')
    expect(urlOfPseudo({ ...pseudo, path: '*' }, DESTINATION)).toBe('https://b.test')
    expect(requestPseudo({ ':method': 'GET', host: 'c.test' }).authority).toBe('c.test')
  })
})

describe('outgoing()', () => {
  it('keeps doubles, and the order of first appearance', () => {
    const headers = outgoing({ ':status': 200 }, [
      ['set-cookie', 'a=1'],
      ['x-one', '1'],
      ['set-cookie', 'b=2'],
      ['x-one', '2'],
    ])
    expect(Object.entries(headers)).toEqual([
      [':status', 200],
      ['set-cookie', ['a=1', 'b=2']],
      ['x-one', ['1', '2']],
    ])
  })

  it('leaves out what is about one connection, and what Connection names', () => {
    const headers = outgoing({}, [
      ['Connection', 'close, X-Hop'],
      ['keep-alive', 'timeout=5'],
      ['Transfer-Encoding', 'chunked'],
      ['Upgrade', 'h2c'],
      ['HTTP2-Settings', 'AAA'],
      ['proxy-connection', 'keep-alive'],
      ['x-hop', '1'],
      ['te', 'gzip'],
      ['x-end', '2'],
    ])
    expect({ ...headers }).toEqual({ 'x-end': '2' })
    expect({ ...outgoing({}, [['TE', 'Trailers']]) }).toEqual({ te: 'Trailers' })
  })

  it('sends one of those fields that node:http2 refuses twice', () => {
    const twice = outgoing({}, [
      ['content-type', 'text/html'],
      ['content-type', 'text/plain'],
    ])
    expect({ ...twice }).toEqual({ 'content-type': 'text/html' })
  })

  it('keeps out of tables what the sender wants kept out', () => {
    const headers = outgoing({}, [['authorization', 'secret']], ['authorization'])
    expect(sensitiveNames(headers as never)).toEqual(['authorization'])
    expect(Reflect.get(headers, sensitiveHeaders)).toEqual(['authorization'])
    expect(sensitiveNames({})).toEqual([])
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
