import { expect, it } from 'vitest'

import { acceptKey, agreedExtensions, frameRulesOf, parseExtensions } from './handshake.ts'

it('answers the key of RFC 6455 section 1.3', () => {
  expect(acceptKey('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
})

it.each([
  ['', []],
  ['permessage-deflate', [{ name: 'permessage-deflate', parameters: {} }]],
  [
    'permessage-deflate; client_max_window_bits; server_max_window_bits=10, x-other;a="b, c; \\"d\\""',
    [
      { name: 'permessage-deflate', parameters: { client_max_window_bits: true, server_max_window_bits: '10' } },
      { name: 'x-other', parameters: { a: 'b, c; "d"' } },
    ],
  ],
  [', ;, =', []],
])('reads the extensions %j', (value, extensions) => {
  expect(parseExtensions(value)).toEqual(extensions)
})

it('knows what was agreed for each side', () => {
  const agreed = agreedExtensions('permessage-deflate; server_no_context_takeover; client_max_window_bits=9')
  expect(agreed).toEqual({
    deflate: { client: { takesOver: true, windowBits: 9 }, server: { takesOver: false, windowBits: 15 } },
    hasUnknown: false,
  })
  expect(frameRulesOf('client', agreed)).toEqual({ from: 'client', reservedOnFirst: 4, reservedOnAny: 0 })
  const unknown = agreedExtensions('x-webkit-deflate-frame')
  expect(unknown).toEqual({ deflate: undefined, hasUnknown: true })
  expect(frameRulesOf('server', unknown).reservedOnAny).toBe(7)
  expect(agreedExtensions('permessage-deflate; server_max_window_bits=99').deflate?.server.windowBits).toBe(15)
})
