import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { tunnelTo } from '../../testing/clients.ts'
import { FramePeer } from '../../testing/frame-peer.ts'
import { wireServer } from '../../testing/servers.ts'
import { SETTING } from './frame.ts'
import { writeSettings, writeWindowUpdate } from './frame-write.ts'
import { isBad, readSettings, settingsFrame } from './settings.ts'

const HEAD_BYTES = 9

describe('settings', () => {
  it('come out as they went in, unknown ones left out', () => {
    const settings = { headerTableSize: 100, initialWindowSize: 70_000, enableConnectProtocol: 1 }
    expect(readSettings(settingsFrame(settings).subarray(HEAD_BYTES))).toEqual(settings)
    expect(readSettings(Buffer.from([0x1a, 0x1a, 0, 0, 0, 1]))).toEqual({})
  })

  it('of which there are several of one kind are the last one', () => {
    const frame = writeSettings([
      [SETTING.maxFrameSize, 20_000],
      [SETTING.maxFrameSize, 30_000],
    ])
    expect(readSettings(frame.subarray(HEAD_BYTES))).toEqual({ maxFrameSize: 30_000 })
  })

  it('that there cannot be are refused', () => {
    expect(isBad(readSettings(writeSettings([[SETTING.enableConnectProtocol, 3]]).subarray(HEAD_BYTES)))).toBe(true)
  })
})

/** A bridge, and both endpoints beside it. */
async function bridged(
  act: (mitm: TestMitm, client: FramePeer, server: FramePeer) => Promise<void>,
  { settings = [], isAnswered = false }: { settings?: [number, number][]; isAnswered?: boolean } = {},
): Promise<void> {
  await using origin = await wireServer()
  await using mitm = await startMitm({ hosts: { 'api.test': origin.authority } })
  // A host that a rule answers for is not asked before its client is: it has SETTINGS of the mitm's own.
  if (isAnswered) mitm.get('http://api.test/answered').json({})
  else mitm.get('http://api.test/for-nobody').rewriteRequest({ headers: { a: 'b' } })
  const client = new FramePeer(await tunnelTo(mitm, 'api.test:80'), 'client').greet()
  if (isAnswered) client.ask(1, true).ask(3, true)
  const server = new FramePeer(await origin.next(), 'server').greet(settings)
  await act(mitm, client, server)
  client.wire.end()
  server.wire.end()
}

describe('SETTINGS of a server', () => {
  it('are those of its client, when the server changes them as well', async () => {
    await bridged(
      async (_, client, server) => {
        await expect.poll(() => client.settings.get(SETTING.maxConcurrentStreams)).toBe(7)
        server.send(
          writeSettings([
            [SETTING.maxConcurrentStreams, 3],
            [SETTING.initialWindowSize, 100_000],
          ]),
        )
        await expect.poll(() => client.settings.get(SETTING.maxConcurrentStreams)).toBe(3)
        expect(client.settings.get(SETTING.initialWindowSize)).toBe(100_000)
      },
      { settings: [[SETTING.maxConcurrentStreams, 7]] },
    )
  })

  it('that give room only to streams that have come let a client begin', async () => {
    await bridged(
      async (_, client, server) => {
        client.ask(1, false).data(1, 'hello', true)
        await server.hear('HEADERS 1')
        expect(server.heard).toEqual(['HEADERS 1'])
        server.send(writeWindowUpdate(1, 1000))
        await server.hear('END 1')
        expect(server.heard).toEqual(['HEADERS 1', 'DATA 1 5', 'END 1'])
      },
      { settings: [[SETTING.initialWindowSize, 0]] },
    )
  })

  it('that allow few streams let the others wait, where the client does not know', async () => {
    await bridged(
      async (mitm, client, server) => {
        await server.hear('END 1')
        // The second waits until the first is over, or until it is given up.
        client.ask(5).ask(7).reset(5, 8)
        await expect.poll(() => mitm.exchanges[2]?.endReason).toBe('client-reset')
        server.respond(1, 204, true)
        await server.hear('END 3')
        server.respond(3, 204, true)
        await server.hear('END 5')
        server.respond(5, 204, true)
        await client.hear('END 7')
        expect(server.heard.filter((line) => line.startsWith('HEADERS'))).toEqual([
          'HEADERS 1',
          'HEADERS 3',
          'HEADERS 5',
        ])
      },
      { settings: [[SETTING.maxConcurrentStreams, 1]], isAnswered: true },
    )
  })
})
