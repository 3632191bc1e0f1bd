package millrace.interop;

import io.pravega.client.ByteStreamClientFactory;
import io.pravega.client.byteStream.ByteStreamReader;
import io.pravega.client.byteStream.ByteStreamWriter;
import io.pravega.client.segment.impl.SegmentTruncatedException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** Streams of bytes without events. */
final class ByteCases {
    private ByteCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("bytes: written, flushed and read back", ByteCases::writeAndRead),
                Case.of("bytes: a reader seeks and skips", ByteCases::seek),
                Case.of("bytes: a reader at the tail waits for more", ByteCases::tail),
                Case.of("bytes: truncation moves the head", ByteCases::truncate),
                Case.of("bytes: a sealed stream ends", ByteCases::seal),
                Case.of("bytes: 40 MiB in pieces of every size", ByteCases::many).within(Duration.ofSeconds(120)),
                Case.of("bytes: two writers append to one stream", ByteCases::twoWriters),
                Case.of("bytes: a stream with several segments is refused", ByteCases::severalSegments));
    }

    private static ByteStreamClientFactory factory(Fixture fixture) {
        fixture.stream("stream", 1);
        return fixture.closing(ByteStreamClientFactory.withScope(fixture.scope, fixture.config));
    }

    private static byte[] read(ByteStreamReader reader, int count) throws Exception {
        byte[] bytes = new byte[count];
        int at = 0;
        while (at < count) {
            int read = reader.read(bytes, at, count - at);
            Expect.that(read > 0, "bytes come, not the end");
            at += read;
        }
        return bytes;
    }

    private static void writeAndRead(Fixture fixture) throws Exception {
        ByteStreamClientFactory factory = factory(fixture);
        byte[] bytes = Numbered.bytes(1, 100_000);
        ByteStreamWriter writer = fixture.closing(factory.createByteStreamWriter("stream"));
        Expect.equal(writer.fetchTailOffset(), 0L, "the tail of a new stream");
        for (int i = 0; i < 5_000; i++) {
            writer.write(bytes[i]);
        }
        writer.write(bytes, 5_000, 45_000);
        writer.flush();
        Expect.equal(writer.fetchTailOffset(), 50_000L, "the tail after a flush");
        writer.write(bytes, 50_000, 50_000);
        writer.flushAsync().get();
        Expect.equal(writer.fetchTailOffset(), 100_000L, "the tail after a flush");
        ByteStreamReader reader = fixture.closing(factory.createByteStreamReader("stream"));
        Expect.sameBytes(read(reader, bytes.length), bytes, "the stream");
        Expect.equal(reader.getOffset(), 100_000L, "the offset of the reader");
    }

    private static void seek(Fixture fixture) throws Exception {
        ByteStreamClientFactory factory = factory(fixture);
        byte[] bytes = Numbered.bytes(2, 1_000_000);
        ByteStreamWriter writer = fixture.closing(factory.createByteStreamWriter("stream"));
        writer.write(bytes);
        writer.flush();
        ByteStreamReader reader = fixture.closing(factory.createByteStreamReader("stream"));
        for (int offset : new int[] {999_000, 0, 500_000, 1, 262_143, 262_144, 262_145, 998_999}) {
            reader.seekToOffset(offset);
            Expect.sameBytes(read(reader, 1_000), Arrays.copyOfRange(bytes, offset, offset + 1_000), "the bytes at " + offset);
        }
        reader.seekToOffset(100);
        Expect.equal(reader.skip(900), 900L, "the number of bytes skipped");
        Expect.equal(reader.read(), bytes[1_000] & 0xFF, "the byte after them");
        Expect.equal(reader.skip(10_000_000), 998_999L, "the number of bytes skipped to the tail");
        Expect.equal(reader.fetchHeadOffset(), 0L, "the head");
        Expect.equal(reader.fetchTailOffset(), 1_000_000L, "the tail");
    }

    private static void tail(Fixture fixture) throws Exception {
        ByteStreamClientFactory factory = factory(fixture);
        ByteStreamWriter writer = fixture.closing(factory.createByteStreamWriter("stream"));
        ByteStreamReader reader = fixture.closing(factory.createByteStreamReader("stream"));
        for (int round = 0; round < 20; round++) {
            byte[] bytes = Numbered.bytes(round, 1 + 97 * round);
            Future<byte[]> waiting = fixture.start(() -> read(reader, bytes.length));
            if (round % 5 == 0) {
                Expect.fails(java.util.concurrent.TimeoutException.class, "reading before there is anything",
                        () -> waiting.get(200, TimeUnit.MILLISECONDS));
            }
            writer.write(bytes);
            writer.flush();
            Expect.sameBytes(Fixture.join(waiting), bytes, "what the waiting reader got");
        }
        Future<Integer> available = fixture.start(() -> reader.onDataAvailable().get());
        writer.write(new byte[77]);
        writer.flush();
        Expect.equal(Fixture.join(available), 77, "the number of bytes available");
    }

    private static void truncate(Fixture fixture) throws Exception {
        ByteStreamClientFactory factory = factory(fixture);
        byte[] bytes = Numbered.bytes(3, 10_000);
        ByteStreamWriter writer = fixture.closing(factory.createByteStreamWriter("stream"));
        writer.write(bytes);
        writer.flush();
        writer.truncateDataBefore(4_000);
        Expect.equal(writer.fetchHeadOffset(), 4_000L, "the head");
        writer.truncateDataBefore(1_000);
        Expect.equal(writer.fetchHeadOffset(), 4_000L, "the head, which does not go back");
        ByteStreamReader reader = fixture.closing(factory.createByteStreamReader("stream"));
        Expect.equal(reader.fetchHeadOffset(), 4_000L, "the head");
        reader.seekToOffset(0);
        Expect.fails(SegmentTruncatedException.class, "reading what was truncated", () -> read(reader, 1));
        reader.seekToOffset(4_000);
        Expect.sameBytes(read(reader, 6_000), Arrays.copyOfRange(bytes, 4_000, 10_000), "what is left");
        writer.truncateDataBefore(10_000);
        Expect.equal(writer.fetchHeadOffset(), 10_000L, "the head at the tail");
        writer.write(bytes);
        writer.flush();
        Expect.sameBytes(read(reader, 10_000), bytes, "what was written afterwards");
    }

    private static void seal(Fixture fixture) throws Exception {
        ByteStreamClientFactory factory = factory(fixture);
        ByteStreamWriter writer = factory.createByteStreamWriter("stream");
        ByteStreamReader reader = fixture.closing(factory.createByteStreamReader("stream"));
        Future<Integer> waiting = fixture.start(() -> {
            read(reader, 500);
            return reader.read();
        });
        writer.write(Numbered.bytes(4, 500));
        writer.flush();
        writer.closeAndSeal();
        Expect.equal(Fixture.join(waiting), -1, "what a waiting reader gets at the end");
        Expect.equal(reader.read(), -1, "what it gets again");
        reader.seekToOffset(400);
        Expect.equal(read(reader, 100).length, 100, "the number of bytes before the end");
        Expect.equal(reader.read(), -1, "what comes after them");
        // The store sealed the segment and the controller does not know it: an odd thing of byte streams that must do no harm.
        Expect.that(fixture.streams.sealStream(fixture.scope, "stream"), "the stream is sealed");
        Expect.that(fixture.streams.deleteStream(fixture.scope, "stream"), "the stream is deleted");
    }

    private static void many(Fixture fixture) throws Exception {
        ByteStreamClientFactory factory = factory(fixture);
        int total = 40 << 20;
        byte[] bytes = Numbered.bytes(5, total);
        ByteStreamWriter writer = fixture.closing(factory.createByteStreamWriter("stream"));
        Future<byte[]> reading = fixture.start(() ->
                read(fixture.closing(factory.createByteStreamReader("stream")), total));
        int[] sizes = {1, 10, 1_000, 4_096, 100_000, 1 << 20, (8 << 20) + 8, 3};
        int at = 0;
        for (int i = 0; at < total; i++) {
            int size = Math.min(sizes[i % sizes.length], total - at);
            writer.write(bytes, at, size);
            at += size;
        }
        writer.flush();
        Expect.sameBytes(Fixture.join(reading), bytes, "the stream");
    }

    private static void twoWriters(Fixture fixture) throws Exception {
        ByteStreamClientFactory factory = factory(fixture);
        fixture.together(2, number -> {
            try (ByteStreamWriter writer = factory.createByteStreamWriter("stream")) {
                byte[] block = new byte[1_000];
                Arrays.fill(block, (byte) (number + 1));
                for (int i = 0; i < 200; i++) {
                    writer.write(block);
                    writer.flush();
                }
            }
        });
        byte[] all = read(fixture.closing(factory.createByteStreamReader("stream")), 400_000);
        int[] counts = new int[3];
        for (int block = 0; block < 400; block++) {
            byte first = all[block * 1_000];
            for (int i = 0; i < 1_000; i++) {
                Expect.that(all[block * 1_000 + i] == first, "a write of one writer is not torn by the other");
            }
            counts[first]++;
        }
        Expect.that(counts[1] == 200 && counts[2] == 200, "every write is there once");
    }

    private static void severalSegments(Fixture fixture) {
        fixture.stream("stream", 2);
        ByteStreamClientFactory factory = fixture.closing(ByteStreamClientFactory.withScope(fixture.scope, fixture.config));
        Expect.fails(IllegalStateException.class, "a writer of bytes", () -> factory.createByteStreamWriter("stream"));
        Expect.fails(IllegalStateException.class, "a reader of bytes", () -> factory.createByteStreamReader("stream"));
    }
}
