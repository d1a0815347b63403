import { expect, test } from 'vitest'

import { bypassesProxy } from './no-proxy.ts'

test.each([
  ['pay.test', 443, ['pay.test'], true],
  ['PAY.test.', 443, ['pay.TEST'], true],
  ['a.pay.test', 443, ['pay.test'], false],
  ['a.pay.test', 443, ['.pay.test'], true],
  ['a.b.pay.test', 443, ['*.pay.test'], true],
  ['pay.test', 443, ['.pay.test', '*.pay.test'], false],
  ['mypay.test', 443, ['.pay.test', 'pay.test'], false],
  ['pay.test', 443, ['pay.test:443'], true],
  ['pay.test', 80, ['pay.test:443'], false],
  ['a.pay.test', 80, ['*.pay.test:80'], true],
  ['pay.test', 443, ['*'], true],
  ['pay.test', 443, ['*:80'], false],
  ['pay.test', 443, ['x.test', ' pay.test '], true],
  ['pay.test', 443, ['', '.', ':443'], false],
  ['pay.test', 443, [], false],
  ['127.0.0.1', 80, ['127.0.0.1'], true],
  ['127.0.0.1', 80, ['127.0.0.2', '127.0.0'], false],
  ['::1', 80, ['::1'], true],
  ['::1', 80, ['[::1]'], true],
  ['[::1]', 80, ['0:0:0:0:0:0:0:1'], true],
  ['::1', 80, ['[::1]:80'], true],
  ['::1', 81, ['[::1]:80'], false],
  ['2001:db8::1', 80, ['2001:db8::2'], false],
  ['intranet', 80, ['<local>'], true],
  ['intra.net', 80, ['<local>'], false],
  ['::1', 80, ['<local>'], false],
  ['10.1.2.3', 80, ['10.0.0.0/8'], true],
  ['11.1.2.3', 80, ['10.0.0.0/8'], false],
  ['10.test', 80, ['10.0.0.0/8'], false],
  ['::1', 80, ['0.0.0.0/0'], false],
  ['10.1.2.3', 80, ['10.1.2.3/32', '10.0.0.0/33', '10.0.0/8', '/8', 'x/8'], true],
  ['10.1.2.4', 80, ['10.1.2.3/32', '10.0.0.0/33', '10.0.0/8', '/8', 'x/8'], false],
  ['2001:db8:1::7', 80, ['2001:db8::/32'], true],
  ['2001:db9::7', 80, ['[2001:db8::]/32'], false],
])('bypassesProxy(%j, %i, %j) is %j', (host, port, noProxy, expected) => {
  expect(bypassesProxy(host, port, noProxy)).toBe(expected)
})
