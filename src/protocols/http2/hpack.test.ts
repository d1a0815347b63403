import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { Field } from '../../exchange.ts'
import { HpackDecoder } from './hpack-decode.ts'
import { writeFieldBlock, writeInteger } from './hpack-encode.ts'
import { decodeHuffman } from './hpack-huffman.ts'
import { STATIC_TABLE } from './hpack-table.ts'

const LIMIT = 64 * 1024

function octetsOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')
}

function textOf(fields: readonly Field[] | undefined): string[] | undefined {
  return fields?.map(([name, value]) => `${name}: ${value}`)
}

/** What a new decoder cannot decode, and why. */
function problemOf(...blocks: (string | Buffer)[]): string | undefined {
  const decoder = new HpackDecoder(LIMIT)
  for (const block of blocks) decoder.decode(typeof block === 'string' ? octetsOf(block) : block)
  return decoder.problem
}

test.each([
  ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', 'custom-key: custom-header', 55],
  ['040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path', 0],
  ['1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret', 0],
  ['82', ':method: GET', 0],
])('RFC 7541 C.2: %s', (hex, field, size) => {
  const decoder = new HpackDecoder(LIMIT)
  expect(textOf(decoder.decode(octetsOf(hex)))).toEqual([field])
  expect(decoder.tableBytes).toBe(size)
})

const REQUESTS = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
]

test.each([
  [
    'C.3',
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
  ],
  [
    'C.4',
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ],
])('RFC 7541 %s: requests', (_, blocks) => {
  const decoder = new HpackDecoder(LIMIT)
  const sizes = [57, 110, 164]
  for (const [at, block] of blocks.entries()) {
    expect(textOf(decoder.decode(octetsOf(block)))).toEqual(REQUESTS[at])
    expect(decoder.tableBytes).toBe(sizes[at])
  }
  expect(textOf(decoder.table)).toEqual([
    'custom-key: custom-value',
    'cache-control: no-cache',
    ':authority: www.example.com',
  ])
})

const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'

test.each([
  [
    'C.5',
    [
      '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '4803 3330 37c1 c0bf',
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
    ],
  ],
  [
    'C.6',
    [
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      '4883 640e ffc1 c0bf',
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ],
  ],
])('RFC 7541 %s: responses, with entries evicted', (_, [first = '', second = '', third = '']) => {
  const decoder = new HpackDecoder(LIMIT)
  // The table of the example holds 256 octets.
  expect(textOf(decoder.decode(octetsOf(`3fe101 ${first}`)))).toEqual([
    ':status: 302',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ])
  expect(decoder.tableBytes).toBe(222)
  expect(textOf(decoder.decode(octetsOf(second)))?.[0]).toBe(':status: 307')
  expect(decoder.tableBytes).toBe(222)
  expect(textOf(decoder.decode(octetsOf(third)))).toEqual([
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    'location: https://www.example.com',
    'content-encoding: gzip',
    `set-cookie: ${COOKIE}`,
  ])
  expect(decoder.tableBytes).toBe(215)
  expect(textOf(decoder.table)).toEqual([
    `set-cookie: ${COOKIE}`,
    'content-encoding: gzip',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
  ])
})

test('fields of the tables are the same objects each time', () => {
  const decoder = new HpackDecoder(LIMIT)
  const block = octetsOf('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d')
  const [, , , kept] = decoder.decode(block) ?? []
  const [, , , again] = decoder.decode(octetsOf('828684be')) ?? []
  expect(again).toBe(kept)
})

test('an entry that is larger than the table empties it', () => {
  const decoder = new HpackDecoder(LIMIT)
  decoder.decode(octetsOf('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'))
  const large = Buffer.concat([octetsOf('40 01 61'), writeInteger(5000, 7, 0), Buffer.alloc(5000, 'x')])
  expect(decoder.decode(large)).toEqual([['a', 'x'.repeat(5000)]])
  expect(decoder.table).toEqual([])
})

test('a table that is made smaller forgets the oldest, and many entries fit in a large one', () => {
  const decoder = new HpackDecoder(LIMIT)
  decoder.maxTableBytes = 1_000_000
  const entries = Array.from({ length: 500 }, (_, at) =>
    octetsOf(`40 01 61 04 ${Buffer.from(String(1000 + at)).toString('hex')}`),
  )
  expect(decoder.decode(Buffer.concat([writeInteger(1_000_000, 5, 0x20), ...entries]))).toHaveLength(500)
  expect(decoder.table).toHaveLength(500)
  expect(decoder.decode(writeInteger(62 + 499, 7, 0x80))).toEqual([['a', '1000']])
  decoder.decode(writeInteger(100, 5, 0x20))
  expect(textOf(decoder.table)).toEqual(['a: 1499', 'a: 1498'])
})

test.each([
  ['80', /no entry 0/],
  ['be', /no entry 62/],
  ['ff80808080 8001', /number .* too large/],
  ['ffffffffffffffffffff7f', /number .* too large/],
  ['ff', /too early/],
  ['40', /too early/],
  ['4005 6162', /too early/],
  ['4001 61', /too early/],
  ['4001 6105 62', /too early/],
  ['823fe101', /behind a field/],
  ['3fe220', /of 4225 octets, where 4096/],
  // The end of the code; eight bits 1 behind the last octet; bits 0 behind it.
  ['4084 ffffffff 00', /Huffman/],
  ['4082 1fff 00', /Huffman/],
  ['4081 18 00', /Huffman/],
])('refuses %s', (hex, problem) => {
  expect(problemOf(hex)).toMatch(problem)
  // It stays so.
  expect(problemOf(hex, '82')).toMatch(problem)
})

test('refuses a list of fields that is too large, however short the block', () => {
  const decoder = new HpackDecoder(LIMIT)
  const value = Buffer.concat([octetsOf('40 01 61'), writeInteger(2000, 7, 0), Buffer.alloc(2000, 'x')])
  expect(decoder.decode(value)).toHaveLength(1)
  expect(decoder.decode(Buffer.alloc(20, 0xbe))).toHaveLength(20)
  expect(decoder.decode(Buffer.alloc(40, 0xbe))).toBeUndefined()
  expect(decoder.problem).toMatch(/larger than 65536/)
})

test('blocks that are broken off anywhere are refused or give fewer fields', () => {
  const block = octetsOf('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')
  for (let end = 0; end < block.length; end++) {
    const decoder = new HpackDecoder(LIMIT)
    decoder.decode(octetsOf('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'))
    decoder.decode(octetsOf('8286 84be 5886 a8eb 1064 9cbf'))
    expect(decoder.decode(block, 0, end)?.length ?? 0).toBeLessThan(5)
  }
})

test('survives any octets', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (blocks) => {
      const decoder = new HpackDecoder(LIMIT)
      for (const block of blocks) {
        const fields = decoder.decode(Buffer.from(block))
        expect(fields === undefined).toBe(decoder.problem !== undefined)
      }
    }),
    { numRuns: 500 },
  )
})

const octetText = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) })
const knownField = fc.constantFrom(...STATIC_TABLE)
const anyField: fc.Arbitrary<Field> = fc.oneof(
  knownField,
  fc.tuple(
    knownField.map(([name]) => name),
    octetText,
  ),
  fc.tuple(octetText, octetText),
)

test('decodes what was encoded', () => {
  fc.assert(
    fc.property(fc.array(anyField), fc.boolean(), (fields, emptiesTable) => {
      const decoder = new HpackDecoder(LIMIT)
      expect(decoder.decode(writeFieldBlock(fields, { emptiesTable }))).toEqual(fields)
      expect(decoder.table).toEqual([])
    }),
  )
})

test('encodes fields of the static table as one octet, and names of it by their index', () => {
  const fields: Field[] = [
    [':method', 'GET'],
    [':path', '/x'],
    ['x', 'y'],
  ]
  expect(writeFieldBlock(fields).toString('hex')).toBe('8214022f781001780179')
  expect(writeFieldBlock([], { emptiesTable: true }).toString('hex')).toBe('20')
})

test.each([
  [10, 5, '0a'],
  [1337, 5, '1f9a0a'],
  [42, 8, '2a'],
])('writes the number %i behind %i bits, as RFC 7541 C.1 does', (value, bits, hex) => {
  expect(writeInteger(value, bits, 0).toString('hex')).toBe(hex)
})

/** Codes of RFC 7541 appendix B, one after the other, with bits 1 behind them. */
function huffman(...codes: readonly (readonly [code: number, bits: number])[]): Buffer {
  const bits = codes.map(([code, length]) => code.toString(2).padStart(length, '0')).join('')
  const octets = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1').match(/.{8}/g) ?? []
  return Buffer.from(octets.map((octet) => Number.parseInt(octet, 2)))
}

function huffmanText(octets: Buffer): string | undefined {
  return decodeHuffman(octets, 0, octets.length)
}

test('decodes Huffman codes of every length', () => {
  const codes = [
    [0x1ff8, 13, 0],
    [0x3ffffffc, 30, 10],
    [0x3ffffffe, 30, 22],
    [0xffffffb, 28, 31],
    [0x3f8, 10, 33],
    [0xffa, 12, 35],
    [0x0, 5, 48],
    [0xfb, 8, 59],
    [0x7fff0, 19, 92],
    [0x7, 5, 111],
    [0xfffe6, 20, 128],
    [0x7fffd8, 23, 1],
    [0x1fffdc, 21, 153],
    [0x3fffd2, 22, 129],
    [0xffffea, 24, 9],
    [0x1ffffec, 25, 199],
    [0x3ffffe0, 26, 192],
    [0x7ffffde, 27, 203],
    [0x3ffffee, 26, 255],
  ] as const
  for (const [code, bits, octet] of codes) {
    const text = String.fromCharCode(octet)
    expect(huffmanText(huffman([code, bits]))).toBe(text)
    expect(huffmanText(huffman([0x7, 5], [code, bits], [code, bits]))).toBe(`o${text}${text}`)
  }
  expect(huffmanText(Buffer.alloc(0))).toBe('')
})

test('refuses Huffman code that ends otherwise than in a few bits 1', () => {
  expect(huffmanText(Buffer.from([0b00000_000, 0b01_00010_1]))).toBe('012')
  expect(huffmanText(Buffer.from([0b00000_000, 0b01_00010_0]))).toBeUndefined()
  expect(huffmanText(Buffer.from([0b00000_111]))).toBe('0')
  expect(huffmanText(Buffer.from([0b00000_111, 0xff]))).toBeUndefined()
  expect(huffmanText(huffman([0x3fffffff, 30], [0x7, 5]))).toBeUndefined()
})
