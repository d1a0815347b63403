import { expect, test } from 'vitest'

import { HttpRequest, HttpResponse } from './exchange.ts'
import type { Field } from './exchange.ts'
import { http2ErrorName } from './http2-errors.ts'
import { Http2Facts } from './http2-facts.ts'

function response(fields: readonly Field[] = []): HttpResponse {
  return new HttpResponse({ status: 200, statusText: '', httpVersion: 'HTTP/2', fields })
}

test('what is kept of a small body does not keep the chunk that it came in', () => {
  const message = response()
  message.keepBody(100)
  const chunk = Buffer.alloc(65_536, 'x')
  message.addBody(chunk.subarray(10, 20))
  expect(message.body.toString()).toBe('xxxxxxxxxx')
  expect(message.body.buffer).not.toBe(chunk.buffer)
})

test('bodies that come by turns are kept apart', () => {
  const messages = [response(), response(), response()]
  for (const message of messages) message.keepBody(40)
  for (let turn = 0; turn < 5; turn++) {
    for (const [at, message] of messages.entries()) message.addBody(Buffer.from(`${at}${turn}-`.repeat(3)))
  }
  for (const [at, message] of messages.entries()) {
    const whole = [0, 1, 2, 3, 4].map((turn) => `${at}${turn}-`.repeat(3)).join('')
    expect(message.body.toString()).toBe(whole.slice(0, 40))
    expect(message.bodySize).toBe(45)
    expect(message.isBodyTruncated).toBe(true)
  }
})

test('cookies of several fields are one list of cookies', () => {
  const fields: Field[] = [
    ['cookie', 'a=1'],
    ['cookie', 'b=2'],
    ['accept', 'text/html'],
    ['accept', '*/*'],
  ]
  const request = new HttpRequest({ method: 'GET', url: 'https://a.test/', target: '/', httpVersion: 'HTTP/2', fields })
  expect(request.header('Cookie')).toBe('a=1; b=2')
  expect(request.header('accept')).toBe('text/html, */*')
  expect(
    response([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]).header('set-cookie'),
  ).toBe('a=1\nb=2')
})

test('error codes of HTTP/2 have names', () => {
  expect([0, 7, 13, 14, 255].map(http2ErrorName)).toEqual([
    'NO_ERROR',
    'REFUSED_STREAM',
    'HTTP_1_1_REQUIRED',
    '0xe',
    '0xff',
  ])
  const facts = new Http2Facts(5)
  expect([facts.resetName, facts.goAwayName]).toEqual([undefined, undefined])
  facts.resetCode = 8
  facts.goAwayCode = 11
  expect([facts.resetName, facts.goAwayName]).toEqual(['CANCEL', 'ENHANCE_YOUR_CALM'])
})
