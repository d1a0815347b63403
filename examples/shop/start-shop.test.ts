import { request } from 'node:https'
import type { RequestOptions } from 'node:https'
import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startShop } from './start-shop.ts'
import type { Shop } from './start-shop.ts'

let shop: Shop

beforeEach(async () => {
  shop = await startShop()
})

afterEach(async () => {
  await shop.close()
})

interface Reply {
  status: number | undefined
  headers: Record<string, string | string[] | undefined>
  text: string
}

async function send(url: string, options: RequestOptions = {}, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ca: shop.certificate, ...options }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
      response.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

test('the shop serves its page, its script and its products', async () => {
  const page = await send(shop.url)
  expect(page.status).toBe(200)
  expect(page.headers['content-type']).toContain('text/html')
  expect(page.text).toContain('<button type="button" disabled>Pay</button>')
  expect((await send(`${shop.url}shop.js`)).headers['content-type']).toContain('text/javascript')
  expect(JSON.parse((await send(`${shop.url}products.json`)).text)).toHaveLength(2)
  expect((await send(`${shop.url}../package.json`)).status).toBe(404)
})

test('the price is the sum of the products, for pages of the shop', async () => {
  const preflight = await send(`${shop.apiUrl}price`, { method: 'OPTIONS' })
  expect(preflight.status).toBe(204)
  expect(preflight.headers['access-control-allow-headers']).toContain('x-shop-client')
  const price = await send(`${shop.apiUrl}price`)
  expect(JSON.parse(price.text)).toEqual({ eur: 42 })
  expect(price.headers['access-control-allow-origin']).toBe('https://shop.test')
})

test('a charge is answered with 201 and kept', async () => {
  const paid = await send(`${shop.payUrl}charge`, { method: 'POST' }, '{"eur":42}')
  expect(paid.status).toBe(201)
  expect(shop.payments).toEqual([{ eur: 42 }])
})

test.each(['', '{', 'null', '{"eur":"42"}', '{"eur":-1}'])('a charge of %j is refused and not kept', async (body) => {
  expect((await send(`${shop.payUrl}charge`, { method: 'POST' }, body)).status).toBe(400)
  expect(shop.payments).toEqual([])
})

test('the certificate holds for every name of the shop', async () => {
  const certificate = new X509Certificate(shop.certificate)
  for (const name of ['shop.test', 'api.shop.test', 'pay.test', 'localhost']) {
    expect(certificate.checkHost(name)).toBe(name)
  }
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
  await expect(send(shop.url, { ca: [] })).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
})

test('close() may be called twice, and nothing answers after it', async () => {
  await shop.close()
  await shop.close()
  await expect(send(shop.url)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
