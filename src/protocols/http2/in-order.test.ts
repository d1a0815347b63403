import { setTimeout as delay } from 'node:timers/promises'

import { expect, it } from 'vitest'

import { Connection } from '../../connection.ts'
import { InOrder } from './in-order.ts'

const CONNECTION = new Connection()

it('sends at once what nobody transforms', () => {
  const sent: string[] = []
  const order = new InOrder((octets) => void sent.push(octets.toString()))
  expect(order.pass(Buffer.from('a'), undefined, CONNECTION)).toBeUndefined()
  expect(order.settled()).toBeUndefined()
  expect(sent).toEqual(['a'])
})

it('keeps the order, however long transforms take, and also behind the last of them', async () => {
  const sent: string[] = []
  const order = new InOrder((octets) => void sent.push(octets.toString()))
  const slow = async (octets: Buffer): Promise<Buffer> => {
    await delay(octets.toString() === 'a' ? 20 : 1)
    return Buffer.from(octets.toString().toUpperCase())
  }
  void order.pass(Buffer.from('a'), [slow], CONNECTION)
  void order.pass(Buffer.from('b'), [slow, slow], CONNECTION)
  void order.pass(Buffer.from('c'), undefined, CONNECTION)
  await order.settled()
  expect(sent).toEqual(['A', 'B', 'c'])
})

it('tells what a transform fails with', async () => {
  const order = new InOrder(() => undefined)
  const fails = (): never => {
    throw new Error('no')
  }
  await expect(order.pass(Buffer.from('a'), [fails], CONNECTION)).rejects.toThrow('no')
})
