import { describe, expect, test } from 'vitest'

import type { Fault, HeadPart } from '../fault.ts'
import { contentLength, largeHead, malformedHead, twoLocations, unsolicited100, unsolicited101 } from './faults.ts'
import type { ContentLengthFlaw, HeadFlaw } from './faults.ts'

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 20\r\nServer: x\r\n\r\n'

function headPart(fault: Fault): HeadPart {
  const part = fault.parts.find((one): one is HeadPart => one.stage === 'head')
  if (!part) throw new TypeError(`${fault.name} edits no head`)
  return part
}

function edit(fault: Fault, head = HEAD): string {
  return headPart(fault).edit(Buffer.from(head, 'latin1')).toString('latin1')
}

const rest = 'Content-Length: 20\r\nServer: x\r\n\r\n'
const malformed: readonly [HeadFlaw, string][] = [
  ['nul', `HTTP/1.1 200 OK\r\nx-malformed: a\0b\r\n${rest}`],
  ['noColon', `HTTP/1.1 200 OK\r\nx-malformed\r\n${rest}`],
  ['obsFold', `HTTP/1.1 200 OK\r\nx-malformed: a\r\n b\r\n${rest}`],
  ['spaceBeforeColon', `HTTP/1.1 200 OK\r\nx-malformed : a\r\n${rest}`],
  ['bareLf', 'HTTP/1.1 200 OK\nContent-Length: 20\nServer: x\n\n'],
  ['badVersion', `HTTP/9.9 200 OK\r\n${rest}`],
  ['status9999', `HTTP/1.1 9999 OK\r\n${rest}`],
]

test.each(malformed)('malformedHead %s', (flaw, expected) => {
  expect(edit(malformedHead(flaw))).toBe(expected)
})

test('edits keep octets above ASCII', () => {
  expect(edit(malformedHead('noColon'), 'HTTP/1.1 200 \xff\xe9\r\n\r\n')).toBe(
    'HTTP/1.1 200 \xff\xe9\r\nx-malformed\r\n\r\n',
  )
})

describe('largeHead', () => {
  test.each([100, 1000, 300_000])('makes a head of %d octets', (bytes) => {
    const head = edit(largeHead({ bytes }))
    expect(head).toHaveLength(bytes)
    expect(head.startsWith(HEAD.slice(0, -2))).toBe(true)
    expect(head.endsWith('a\r\n\r\n')).toBe(true)
  })

  test('leaves a head that is as large, and adds a field to one that is nearly', () => {
    expect(edit(largeHead({ bytes: HEAD.length }))).toBe(HEAD)
    expect(edit(largeHead({ bytes: HEAD.length + 1 }))).toContain('x-large: a\r\n')
  })
})

test('twoLocations adds what is missing to two', () => {
  expect(edit(twoLocations())).toContain('x\r\nlocation: /first-location\r\nlocation: /second-location\r\n\r\n')
  expect(edit(twoLocations(), 'HTTP/1.1 302 Found\r\nLocation : /a\r\n\r\n')).toBe(
    'HTTP/1.1 302 Found\r\nLocation : /a\r\nlocation: /second-location\r\n\r\n',
  )
})

test('unsolicited interim responses stand in front of the head', () => {
  expect(edit(unsolicited100())).toBe(`HTTP/1.1 100 Continue\r\n\r\n${HEAD}`)
  expect(headPart(unsolicited100()).closes).toBe(false)
  expect(edit(unsolicited101())).toBe(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: unsolicited\r\n\r\n${HEAD}`,
  )
  expect(headPart(unsolicited101()).closes).toBe(true)
})

describe('contentLength', () => {
  const lengths: readonly [ContentLengthFlaw, by: number | undefined, values: readonly string[], closes: boolean][] = [
    ['tooLarge', undefined, ['21'], true],
    ['tooLarge', 100, ['120'], true],
    ['tooSmall', undefined, ['19'], true],
    ['tooSmall', 100, ['0'], true],
    ['notANumber', undefined, ['many'], true],
    ['negative', undefined, ['-20'], true],
    ['duplicate', undefined, ['20', '20'], false],
    ['conflicting', undefined, ['20', '21'], true],
    ['withTransferEncoding', undefined, ['0'], false],
  ]

  test.each(lengths)('%s by %s says %j', (flaw, by, values, closes) => {
    const fault = contentLength(flaw, { by })
    const lines = values.map((value) => `content-length: ${value}\r\n`).join('')
    expect(edit(fault)).toBe(`HTTP/1.1 200 OK\r\n${lines}Server: x\r\n\r\n`)
    expect(headPart(fault).closes).toBe(closes)
  })

  test('takes out every field that was there, with its folded lines', () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nA: b\r\nContent-Length :\r\n 5\r\n\r\n'
    expect(edit(contentLength('tooLarge'), head)).toBe('HTTP/1.1 200 OK\r\ncontent-length: 6\r\nA: b\r\n\r\n')
  })

  test('gives one to a head without any', () => {
    expect(edit(contentLength('tooLarge'), 'HTTP/1.1 204 No Content\r\n\r\n')).toBe(
      'HTTP/1.1 204 No Content\r\ncontent-length: 1\r\n\r\n',
    )
    expect(edit(contentLength('negative'), 'HTTP/1.1 204 No Content\r\n\r\n')).toContain('content-length: -1\r\n')
  })
})
