import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import {
  findHeadEnd,
  looksLikeRequest,
  parseAuthority,
  parseFields,
  parseRequestHead,
  parseResponseHead,
  parseTarget,
} from './head.ts'

const octets = (text: string): Buffer => Buffer.from(text, 'latin1')

describe('findHeadEnd()', () => {
  it.each([
    ['GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n', 24],
    ['GET / HTTP/1.1\nA: b\n\nbody\r\n\r\n', 21],
    ['GET / HTTP/1.1\r\nA: b\n\r\nbody', 23],
    ['GET / HTTP/1.1\n\n\r\nbody', 16],
    ['\r\n\r\nGET / HTTP/1.1\r\n\r\n', 22],
    ['GET / HTTP/1.1\r\nA: b\r\n\r', -1],
    ['\r\n\r\n', -1],
    ['', -1],
  ])('of %j is %i', (text, end) => {
    expect(findHeadEnd(octets(text))).toBe(end)
  })

  it('begins where it is told', () => {
    expect(findHeadEnd(octets('A\r\n\r\nB\r\n\r\n'), 5)).toBe(10)
  })
})

describe('looksLikeRequest()', () => {
  it.each([
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.0\n',
    '\r\n\r\nM-SEARCH * HTTP/1.1\r\nHost: x',
    'CONNECT a.test:443 HTTP/1.1\r\n',
    'GET /\xe9 HTTP/1.1 \r\n',
  ])('says yes to %j', (text) => {
    expect(looksLikeRequest(octets(text))).toBe('yes')
  })

  it.each([
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'PRI * HTTP/2',
    '\x16\x03\x01',
    '\x05\x01\x00',
    ' GET / HTTP/1.1\r\n',
    'GET  / HTTP/1.1\r\n',
    'GET /a b HTTP/1.1\r\n',
    'GET /\r\n',
    'GET / HTTP/1.x\r\n',
    'GET / HTTP/1.1x',
    'GET / HTTP/1.1\rx',
    'G(T / HTTP/1.1\r\n',
    'A'.repeat(33),
    `GET /${'a'.repeat(70_000)}`,
    `GET /${'a'.repeat(65_520)} HTTP/1.1${' '.repeat(9)}\r\n`,
  ])('says no to %j', (text) => {
    expect(looksLikeRequest(octets(text))).toBe('no')
  })

  it('says incomplete to every beginning of a request line', () => {
    const line = '\r\nGET /a?b=c HTTP/1.1 \r\n'
    for (let end = 0; end < line.length; end++) {
      expect(looksLikeRequest(octets(line.slice(0, end))), JSON.stringify(line.slice(0, end))).toBe('incomplete')
    }
  })

  it('takes back nothing: what is yes or no stays so with more octets', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('GET', ' ', '/', 'HTTP/1.', '1', '\r', '\n', ':', '\0')), (words) => {
        const text = words.join('')
        const whole = looksLikeRequest(octets(text))
        for (let end = 0; end < text.length; end++) {
          const part = looksLikeRequest(octets(text.slice(0, end)))
          if (part !== 'incomplete') expect(part).toBe(whole)
        }
      }),
    )
  })
})

describe('parseRequestHead()', () => {
  it('keeps order, case and duplicates, and trims values', () => {
    expect(parseRequestHead(octets('GET /a HTTP/1.1\r\nHost:a.test\r\nx-A: \t1 \r\nX-a:\r\n\r\n'))).toEqual({
      method: 'GET',
      target: '/a',
      httpVersion: 'HTTP/1.1',
      fields: [
        ['Host', 'a.test'],
        ['x-A', '1'],
        ['X-a', ''],
      ],
    })
  })

  it('joins folds with one space and keeps lines without a colon', () => {
    const { fields } = parseRequestHead(octets('\r\nGET / HTTP/1.1\nA: b\r\n  c\r\n\td\nno colon here\nE: \xe9:f\n\n'))
    expect(fields).toEqual([
      ['A', 'b c d'],
      ['no colon here', ''],
      ['E', '\xe9:f'],
    ])
  })

  it.each([
    ['', '', '', ''],
    ['GET', 'GET', '', ''],
    ['GET /a b HTTP/1.1', 'GET', '/a b', 'HTTP/1.1'],
    ['GET /', 'GET', '/', ''],
  ])('does not throw at %j', (text, method, target, httpVersion) => {
    expect(parseRequestHead(octets(text))).toEqual({ method, target, httpVersion, fields: [] })
  })
})

describe('parseResponseHead()', () => {
  it.each([
    ['HTTP/1.1 200 OK\r\n\r\n', 200, 'OK', 'HTTP/1.1'],
    ['HTTP/1.0 404\r\n\r\n', 404, '', 'HTTP/1.0'],
    ['HTTP/1.1 200 \r\n\r\n', 200, '', 'HTTP/1.1'],
    ['HTTP/1.1 500 All  went\xe9 wrong\n\n', 500, 'All  went\xe9 wrong', 'HTTP/1.1'],
    ['', 0, '', ''],
  ])('reads %j', (text, status, statusText, httpVersion) => {
    expect(parseResponseHead(octets(text))).toEqual({ status, statusText, httpVersion, fields: [] })
  })
})

describe('parseFields()', () => {
  it('stops at the blank line', () => {
    expect(parseFields('A: 1\r\n\r\nB: 2\r\n')).toEqual([['A', '1']])
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', ':', ' ', '\t', '\r', '\n', '\xff')), (characters) => {
        for (const [name, value] of parseFields(characters.join(''))) expect(name + value).not.toContain('\n')
      }),
    )
  })
})

describe('parseAuthority()', () => {
  it.each([
    ['h', 'h', 80],
    ['H.test:8080', 'H.test', 8080],
    ['h:', 'h', 80],
    ['[::1]:3000', '::1', 3000],
    ['[::1]', '::1', 80],
    ['::1', '::1', 80],
    ['127.0.0.1:1', '127.0.0.1', 1],
    ['a_b-c.test:65535', 'a_b-c.test', 65_535],
  ])('reads %j', (authority, host, port) => {
    expect(parseAuthority(authority, 80)).toEqual({ host, port })
  })

  it.each([
    '',
    ':80',
    'h:0',
    'h:65536',
    'h:8x',
    'u@h',
    'u:p@h:1',
    '[::1',
    '[h]:80',
    '[]',
    '::g',
    'a b',
    'h/x',
    'a:b:c',
  ])('refuses %j', (authority) => {
    expect(parseAuthority(authority, 80)).toBeUndefined()
  })
})

describe('parseTarget()', () => {
  it.each([
    ['/a?b', { form: 'origin', path: '/a?b' }],
    ['//a/b', { form: 'origin', path: '//a/b' }],
    ['*', { form: 'asterisk' }],
    ['h.test:443', { form: 'authority', host: 'h.test', port: 443 }],
    ['[::1]:443', { form: 'authority', host: '::1', port: 443 }],
    ['h.test', { form: 'invalid' }],
    ['', { form: 'invalid' }],
    ['http:///a', { form: 'invalid' }],
    ['http://h:99999/a', { form: 'invalid' }],
    ['http://h.test', { form: 'absolute', scheme: 'http', host: 'h.test', port: 80, path: '/' }],
    ['HTTPS://h.test/a?b=//c', { form: 'absolute', scheme: 'https', host: 'h.test', port: 443, path: '/a?b=//c' }],
    ['ws://[::1]:81?x', { form: 'absolute', scheme: 'ws', host: '::1', port: 81, path: '/?x' }],
    ['wss://h/', { form: 'absolute', scheme: 'wss', host: 'h', port: 443, path: '/' }],
    ['ftp://h/a', { form: 'absolute', scheme: 'ftp', host: 'h', port: 0, path: '/a' }],
    ['http://u:p@h/a@b', { form: 'absolute', scheme: 'http', host: 'h', port: 80, path: '/a@b' }],
  ])('reads %j', (target, parsed) => {
    expect(parseTarget(target)).toEqual(parsed)
  })

  it('gives OPTIONS of a whole server the path *', () => {
    expect(parseTarget('http://h', 'OPTIONS')).toMatchObject({ path: '*' })
    expect(parseTarget('http://h/', 'OPTIONS')).toMatchObject({ path: '/' })
    expect(parseTarget('http://h?a', 'OPTIONS')).toMatchObject({ path: '/?a' })
  })
})
