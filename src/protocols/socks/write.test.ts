import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { MitmError } from '../../errors.ts'
import { parseGreeting, parseReply, parseRequest, parseUserPassword, SocksError } from './parse.ts'
import {
  clientGreeting,
  clientRequest,
  clientUserPassword,
  greetingReply,
  reply,
  replyCodeFor,
  socks4Reply,
  userPasswordReply,
} from './write.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

test('the replies of a SOCKS server have the octets of the RFCs', () => {
  expect(greetingReply(0)).toEqual(hex('05 00'))
  expect(greetingReply(0xff)).toEqual(hex('05 ff'))
  expect(userPasswordReply(true)).toEqual(hex('01 00'))
  expect(userPasswordReply(false)).toEqual(hex('01 01'))
  expect(reply(0)).toEqual(hex('05 00 00 01 00000000 0000'))
  expect(reply(5)).toEqual(hex('05 05 00 01 00000000 0000'))
  expect(reply(0, { host: '::1', port: 258 })).toEqual(hex('05 00 00 04 00000000000000000000000000000001 0102'))
  expect(socks4Reply(true)).toEqual(hex('00 5a 0000 00000000'))
  expect(socks4Reply(false)).toEqual(hex('00 5b 0000 00000000'))
})

test('the messages of a SOCKS client have the octets of the RFCs', () => {
  expect(clientGreeting(false)).toEqual(hex('05 01 00'))
  expect(clientGreeting(true)).toEqual(hex('05 02 00 02'))
  expect(clientUserPassword('me', 'ä')).toEqual(hex('01 02 6d65 02 c3a4'))
  expect(clientRequest('1.2.3.4', 80)).toEqual(hex('05 01 00 01 01020304 0050'))
  expect(clientRequest('a.test', 443)).toEqual(hex('05 01 00 03 06 612e74657374 01bb'))
  expect(clientRequest('2001:db8::ff', 443)).toEqual(hex('05 01 00 04 20010db80000000000000000000000ff 01bb'))
})

test('what looks like an address but is none is sent as a name', () => {
  for (const host of ['1.2.3.400', '1.2.3', 'fe80::1%eth0', '::zz', 'a:b'])
    expect(clientRequest(host, 1).subarray(0, 5)).toEqual(Buffer.from([5, 1, 0, 3, host.length]))
})

test('what does not fit into a length octet is refused, without the password in the text', () => {
  const long = 's3cret'.repeat(50)
  expect(() => clientRequest('a'.repeat(256), 80)).toThrow('host name has 256 octets, expected at most 255')
  expect(() => clientUserPassword('me', long)).toThrow(/^(?!.*s3cret).*: password has 300 octets, expected at most 255/)
  expect(() => clientUserPassword(long, '')).toThrow(expect.objectContaining({ code: 'MITM_UPSTREAM_PROXY_FAILED' }))
})

test('a server reads every address as the client meant it', () => {
  const host = fc.oneof(
    fc.ipV4(),
    fc.domain(),
    fc.ipV6().map((address) => new URL(`http://[${address}]`).hostname.slice(1, -1)),
  )
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
      const request = clientRequest(name, port)
      expect(parseRequest(request)).toEqual({ value: { host: name, port }, length: request.length })
      const answer = reply(0, { host: name, port })
      expect(parseReply(answer)).toEqual({ value: { code: 0, bind: { host: name, port } }, length: answer.length })
    }),
  )
})

test('a server reads greeting and credentials as the client meant them', () => {
  expect(parseGreeting(clientGreeting(true))).toMatchObject({ value: { methods: [0, 2] } })
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), fc.string({ maxLength: 60, unit: 'grapheme' }), (user, password) => {
      fc.pre(Buffer.byteLength(password) <= 255)
      expect(parseUserPassword(clientUserPassword(user, password))).toMatchObject({ value: { user, password } })
    }),
  )
})

const system = (code: string): Error => Object.assign(new Error(code), { code })

test.each([
  [system('ECONNREFUSED'), 5],
  [system('ENOTFOUND'), 4],
  [system('EHOSTUNREACH'), 4],
  [system('ENETUNREACH'), 3],
  [system('ETIMEDOUT'), 6],
  [system('toString'), 1],
  [new MitmError('MITM_DNS_FAILED', 'x'), 4],
  [new MitmError('MITM_DIAL_TIMEOUT', 'x'), 6],
  [new MitmError('MITM_LOOP', 'x'), 2],
  [new MitmError('MITM_DIAL_FAILED', 'x'), 1],
  [new MitmError('MITM_DIAL_FAILED', 'x', { cause: system('ECONNREFUSED') }), 5],
  [new MitmError('MITM_DIAL_FAILED', 'x', { cause: new Error('y', { cause: system('ENETUNREACH') }) }), 3],
  [new SocksError('x', { replyCode: 7 }), 7],
  [new SocksError('x', { replyCode: 0x5b }), 1],
  ['no error', 1],
  [undefined, 1],
])('replyCodeFor() has a code for %s: %i', (error, code) => {
  expect(replyCodeFor(error)).toBe(code)
})

test('replyCodeFor() comes to an end where an error is its own cause', () => {
  const error = new Error('ring')
  error.cause = error
  expect(replyCodeFor(error)).toBe(1)
})
