import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { MitmError } from '../../errors.ts'
import {
  parseGreeting,
  parseGreetingReply,
  parseReply,
  parseRequest,
  parseSocks4Request,
  parseUserPassword,
  parseUserPasswordReply,
  SocksError,
} from './parse.ts'
import type { ParseResult } from './parse.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const ascii = (text: string): string => Buffer.from(text).toString('hex')

const PARSERS: Readonly<Record<string, (octets: Uint8Array) => ParseResult<unknown>>> = {
  parseGreeting,
  parseUserPassword,
  parseRequest,
  parseSocks4Request,
  parseGreetingReply,
  parseUserPasswordReply,
  parseReply,
}

interface Sample {
  readonly parser: string
  readonly says: string
  readonly octets: string
  readonly value: unknown
}

const NAMED = { host: 'pay.test', port: 443 }

// oxfmt-ignore
const SAMPLES: readonly Sample[] = [
  { parser: 'parseGreeting', says: 'no authentication', octets: '05 01 00', value: { methods: [0], method: 0 } },
  { parser: 'parseGreeting', says: 'none before password', octets: '05 02 02 00', value: { methods: [2, 0], method: 0 } },
  { parser: 'parseGreeting', says: 'only password', octets: '05 02 01 02', value: { methods: [1, 2], method: 2 } },
  { parser: 'parseGreeting', says: 'only GSSAPI', octets: '05 01 01', value: { methods: [1], method: 0xff } },
  { parser: 'parseGreeting', says: 'no method at all', octets: '05 00', value: { methods: [], method: 0xff } },
  { parser: 'parseUserPassword', says: 'both', octets: `01 02 ${ascii('me')} 03 ${ascii('key')}`, value: { user: 'me', password: 'key' } },
  { parser: 'parseUserPassword', says: 'UTF-8', octets: '01 02 c3a4 00', value: { user: 'ä', password: '' } },
  { parser: 'parseUserPassword', says: 'neither', octets: '01 00 00', value: { user: '', password: '' } },
  { parser: 'parseRequest', says: 'IPv4', octets: '05 01 00 01 7f000001 1f90', value: { host: '127.0.0.1', port: 8080 } },
  { parser: 'parseRequest', says: 'a name', octets: `05 01 00 03 08 ${ascii('pay.test')} 01bb`, value: NAMED },
  { parser: 'parseRequest', says: 'IPv6', octets: '05 01 00 04 20010db8000000010000000000000001 0050', value: { host: '2001:db8:0:1::1', port: 80 } },
  { parser: 'parseRequest', says: 'IPv6 loopback', octets: '05 01 00 04 00000000000000000000000000000001 ffff', value: { host: '::1', port: 65_535 } },
  { parser: 'parseRequest', says: 'a reserved octet that is set', octets: '05 01 77 01 7f000001 0001', value: { host: '127.0.0.1', port: 1 } },
  { parser: 'parseSocks4Request', says: 'SOCKS4', octets: '04 01 0050 c0a80001 00', value: { host: '192.168.0.1', port: 80, user: '' } },
  { parser: 'parseSocks4Request', says: 'SOCKS4 with a user', octets: `04 01 0050 c0a80001 ${ascii('me')} 00`, value: { host: '192.168.0.1', port: 80, user: 'me' } },
  { parser: 'parseSocks4Request', says: '0.0.0.0, which is no 4a', octets: '04 01 0050 00000000 00', value: { host: '0.0.0.0', port: 80, user: '' } },
  { parser: 'parseSocks4Request', says: 'SOCKS4a', octets: `04 01 01bb 00000001 ${ascii('me')} 00 ${ascii('pay.test')} 00`, value: { ...NAMED, user: 'me' } },
  { parser: 'parseSocks4Request', says: 'SOCKS4a without a user', octets: `04 01 01bb 000000ff 00 ${ascii('pay.test')} 00`, value: { ...NAMED, user: '' } },
  { parser: 'parseGreetingReply', says: 'the method', octets: '05 02', value: { method: 2 } },
  { parser: 'parseUserPasswordReply', says: 'the status', octets: '01 01', value: { status: 1 } },
  { parser: 'parseReply', says: 'success', octets: '05 00 00 01 0a000001 1234', value: { code: 0, bind: { host: '10.0.0.1', port: 0x1234 } } },
  { parser: 'parseReply', says: 'success with an empty name', octets: '05 00 00 03 00 0000', value: { code: 0, bind: { host: '', port: 0 } } },
]

for (const { parser, says, octets, value } of SAMPLES) {
  const parse = PARSERS[parser]
  const message = hex(octets)

  test(`${parser}() reads ${says}, and leaves what follows`, () => {
    expect(parse?.(message)).toEqual({ value, length: message.length })
    expect(parse?.(Buffer.concat([message, hex('050116')]))).toEqual({ value, length: message.length })
    expect(parse?.(new Uint8Array(message))).toEqual({ value, length: message.length })
  })

  test(`${parser}() with ${says} is incomplete when cut at any index`, () => {
    for (let end = 0; end < message.length; end++)
      expect(parse?.(message.subarray(0, end)), `${end}`).toBe('incomplete')
  })
}

test('parseReply() gives a refusal as soon as its code is there', () => {
  expect(parseReply(hex('05'))).toBe('incomplete')
  expect(parseReply(hex('05 05'))).toEqual({ value: { code: 5, bind: undefined }, length: 2 })
  expect(parseReply(hex('05 05 00 01 00000000 0000'))).toEqual({ value: { code: 5, bind: undefined }, length: 10 })
})

test('the longest messages are read: 255 methods, 255 octets of name, user and password', () => {
  const greeting = Buffer.concat([hex('05 ff'), Buffer.alloc(254, 1), hex('00')])
  expect(parseGreeting(greeting)).toMatchObject({ value: { method: 0 }, length: 257 })
  const long = 'a'.repeat(255)
  expect(parseRequest(hex(`05 01 00 03 ff ${ascii(long)} 0050`))).toMatchObject({ value: { host: long }, length: 262 })
  const credentials = parseUserPassword(hex(`01 ff ${ascii(long)} ff ${ascii(long)}`))
  expect(credentials).toEqual({ value: { user: long, password: long }, length: 513 })
  const named = parseSocks4Request(hex(`04 01 0050 00000001 ${ascii(long)} 00 ${ascii(long)} 00`))
  expect(named).toEqual({ value: { host: long, port: 80, user: long }, length: 520 })
})

interface Malformed {
  readonly parser: string
  readonly octets: string
  readonly text: string
  readonly replyCode?: number
  readonly side?: string
}

const LONG = ascii('a'.repeat(256))

// oxfmt-ignore
const MALFORMED: readonly Malformed[] = [
  { parser: 'parseGreeting', octets: '04', text: 'Cannot read SOCKS greeting: version is 4, expected 5' },
  { parser: 'parseUserPassword', octets: '05', text: 'Cannot read SOCKS user name and password: version is 5, expected 1' },
  { parser: 'parseRequest', octets: '04', text: 'Cannot read SOCKS request: version is 4, expected 5', replyCode: 1 },
  { parser: 'parseRequest', octets: '05 02', text: 'Cannot obey SOCKS request: command is 2 (BIND), expected 1 (CONNECT)', replyCode: 7 },
  { parser: 'parseRequest', octets: '05 03 00 01 00000000 0000', text: 'Cannot obey SOCKS request: command is 3 (UDP ASSOCIATE), expected 1 (CONNECT)', replyCode: 7 },
  { parser: 'parseRequest', octets: '05 f0', text: 'Cannot obey SOCKS request: command is 240, expected 1 (CONNECT)', replyCode: 7 },
  { parser: 'parseRequest', octets: '05 01 00 02', text: 'Cannot read SOCKS request: address type is 2, expected 1, 3 or 4', replyCode: 8 },
  { parser: 'parseRequest', octets: '05 01 00 03 00 0050', text: 'Cannot read SOCKS request: host name is "", expected 1 to 255 octets of printable ASCII', replyCode: 1 },
  { parser: 'parseRequest', octets: `05 01 00 03 03 ${ascii('a\r\n')} 0050`, text: String.raw`Cannot read SOCKS request: host name is "a\r\n", expected 1 to 255 octets of printable ASCII`, replyCode: 1 },
  { parser: 'parseSocks4Request', octets: '05', text: 'Cannot read SOCKS request: version is 5, expected 4', replyCode: 0x5b },
  { parser: 'parseSocks4Request', octets: '04 02', text: 'Cannot obey SOCKS request: command is 2 (BIND), expected 1 (CONNECT)', replyCode: 0x5b },
  { parser: 'parseSocks4Request', octets: '04 01 0050 00000001 00 00', text: 'Cannot read SOCKS request: host name is "", expected 1 to 255 octets of printable ASCII', replyCode: 0x5b },
  { parser: 'parseSocks4Request', octets: `04 01 0050 01020304 ${LONG}`, text: 'Cannot read SOCKS request: user id has more than 255 octets, expected a zero octet', replyCode: 0x5b },
  { parser: 'parseSocks4Request', octets: `04 01 0050 01020304 ${LONG} 00`, text: 'Cannot read SOCKS request: user id has more than 255 octets, expected a zero octet', replyCode: 0x5b },
  { parser: 'parseSocks4Request', octets: `04 01 0050 00000001 00 ${LONG}`, text: 'Cannot read SOCKS request: host name has more than 255 octets, expected a zero octet', replyCode: 0x5b },
  { parser: 'parseGreetingReply', octets: '48', text: 'Cannot read SOCKS greeting reply: version is 72, expected 5', side: 'server' },
  { parser: 'parseUserPasswordReply', octets: '05', text: 'Cannot read SOCKS user name and password reply: version is 5, expected 1', side: 'server' },
  { parser: 'parseReply', octets: '00', text: 'Cannot read SOCKS reply: version is 0, expected 5', side: 'server' },
  { parser: 'parseReply', octets: '05 00 00 09', text: 'Cannot read SOCKS reply: address type is 9, expected 1, 3 or 4', replyCode: 8, side: 'server' },
]

for (const { parser, octets, text, replyCode, side = 'client' } of MALFORMED) {
  test(`${parser}() refuses ${octets.slice(0, 40)}: ${text}`, () => {
    const error = thrownBy(() => PARSERS[parser]?.(hex(octets)))
    expect(error).toBeInstanceOf(SocksError)
    expect(error).toMatchObject({ code: 'MITM_MALFORMED_SOCKS', message: `${text} [MITM_MALFORMED_SOCKS]`, side })
    expect(error instanceof SocksError && error.replyCode).toBe(replyCode)
  })
}

describe('arbitrary octets', () => {
  const anyOctets = fc.oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc
      .tuple(fc.constantFrom(...SAMPLES), fc.nat(40), fc.nat(255), fc.uint8Array({ maxLength: 20 }))
      .map(([sample, at, octet, tail]) => {
        const message = Buffer.concat([hex(sample.octets), tail])
        message[at % message.length] = octet
        return new Uint8Array(message)
      }),
  )

  for (const [name, parse] of Object.entries(PARSERS)) {
    test(`give ${name}() a value, too little, or a MitmError`, () => {
      fc.assert(
        fc.property(anyOctets, (octets) => {
          try {
            const result = parse(octets)
            if (result === 'incomplete') return true
            return result.length > 0 && result.length <= octets.length
          } catch (error) {
            return error instanceof MitmError && error.code === 'MITM_MALFORMED_SOCKS'
          }
        }),
        { numRuns: 2000 },
      )
    })
  }
})

function thrownBy(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}
