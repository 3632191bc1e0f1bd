package millrace.interop;

import io.pravega.client.BatchClientFactory;
import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.ReaderGroupManager;
import io.pravega.client.admin.StreamManager;
import io.pravega.client.batch.SegmentIterator;
import io.pravega.client.batch.SegmentRange;
import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.ReaderConfig;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * {@code Peer URI [COMMAND...]}: the Java client as somebody else's counterpart. Without a command it takes one from each line of
 * its input. What it does it tells in lines; the last one of every command is {@code ok}, or {@code failed} with a reason.
 *
 * <pre>
 * scope SCOPE                                     creates it, if it is not there
 * stream SCOPE STREAM SEGMENTS                    creates it, if it is not there
 * write SCOPE STREAM WRITER KEYS COUNT BYTES      writes COUNT events, each under one of KEYS keys in turn
 *                                                 -> acked WRITER KEY SEQUENCE, for each
 * group SCOPE GROUP STREAM...                     creates a reader group
 * read SCOPE GROUP READER COUNT                   reads COUNT events as one reader of a group, and leaves it
 *                                                 -> event WRITER KEY SEQUENCE BYTES, for each
 * batch SCOPE STREAM                              reads all that is there -> event ..., for each
 * </pre>
 * The events are {@link Numbered}'s.
 */
public final class Peer {
    private static final long PATIENCE_NS = 30_000_000_000L;

    private final ClientConfig config;
    private final PrintWriter out;

    private Peer(URI controller, PrintWriter out) {
        config = ClientConfig.builder().controllerURI(controller).build();
        this.out = out;
    }

    public static void main(String[] args) throws Exception {
        PrintWriter out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8)));
        Peer peer = new Peer(URI.create(args[0]), out);
        if (args.length > 1) {
            System.exit(peer.obey(Arrays.copyOfRange(args, 1, args.length)) ? 0 : 1);
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            peer.obey(line.trim().split(" +"));
        }
        System.exit(0);
    }

    private boolean obey(String[] words) {
        boolean done = false;
        try {
            run(words);
            out.println("ok");
            done = true;
        } catch (Exception | AssertionError e) {
            out.println("failed " + String.valueOf(Expect.unwrap(e)).replace('\n', ' '));
        }
        out.flush();
        return done;
    }

    private void run(String[] words) throws Exception {
        switch (words[0]) {
            case "scope":
                try (StreamManager streams = StreamManager.create(config)) {
                    streams.createScope(words[1]);
                }
                return;
            case "stream":
                try (StreamManager streams = StreamManager.create(config)) {
                    streams.createStream(words[1], words[2], Fixture.segments(Integer.parseInt(words[3])));
                }
                return;
            case "write":
                write(words);
                return;
            case "group":
                group(words);
                return;
            case "read":
                read(words);
                return;
            case "batch":
                batch(words);
                return;
            default:
                throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    private void write(String[] words) throws Exception {
        int id = Integer.parseInt(words[3]);
        int keys = Integer.parseInt(words[4]);
        int count = Integer.parseInt(words[5]);
        int bytes = Integer.parseInt(words[6]);
        try (EventStreamClientFactory events = EventStreamClientFactory.withScope(words[1], config);
                EventStreamWriter<byte[]> writer = events.createEventWriter(words[2], Fixture.BYTES, EventWriterConfig.builder().build())) {
            List<CompletableFuture<Void>> acks = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                int key = i % keys;
                int sequence = i / keys;
                acks.add(writer.writeEvent(Numbered.keyName(key), Numbered.event(id, key, sequence, bytes)).thenRun(() -> {
                    synchronized (out) {
                        out.println("acked " + id + " " + key + " " + sequence);
                    }
                }));
            }
            // Not by a flush, which may end before the last futures do.
            for (CompletableFuture<Void> ack : acks) {
                ack.get();
            }
        }
    }

    private void group(String[] words) throws Exception {
        ReaderGroupConfig.ReaderGroupConfigBuilder group = ReaderGroupConfig.builder();
        for (String stream : Arrays.copyOfRange(words, 3, words.length)) {
            group.stream(Stream.of(words[1], stream));
        }
        try (ReaderGroupManager groups = ReaderGroupManager.withScope(words[1], config)) {
            groups.createReaderGroup(words[2], group.automaticCheckpointIntervalMillis(1_000).groupRefreshTimeMillis(500).build());
        }
    }

    private void read(String[] words) throws Exception {
        int count = Integer.parseInt(words[4]);
        try (EventStreamClientFactory events = EventStreamClientFactory.withScope(words[1], config);
                EventStreamReader<byte[]> reader = events.createReader(words[3], words[2], Fixture.BYTES, ReaderConfig.builder().build())) {
            long last = System.nanoTime();
            for (int got = 0; got < count;) {
                EventRead<byte[]> read = reader.readNextEvent(Readers.TURN_MS);
                if (read.getEvent() != null) {
                    tell(read.getEvent());
                    got++;
                    last = System.nanoTime();
                } else if (System.nanoTime() - last > PATIENCE_NS) {
                    throw new AssertionError("no event for 30 s after " + got + " of " + count);
                }
            }
        }
    }

    private void batch(String[] words) throws Exception {
        try (BatchClientFactory batch = BatchClientFactory.withScope(words[1], config)) {
            Iterator<SegmentRange> ranges = batch.getSegments(Stream.of(words[1], words[2]), StreamCut.UNBOUNDED, StreamCut.UNBOUNDED)
                    .getIterator();
            while (ranges.hasNext()) {
                try (SegmentIterator<byte[]> events = batch.readSegment(ranges.next(), Fixture.BYTES)) {
                    events.forEachRemaining(this::tell);
                }
            }
        }
    }

    private void tell(byte[] bytes) {
        ByteBuffer event = ByteBuffer.wrap(bytes);
        int writer = event.getInt();
        int key = event.getInt();
        long sequence = event.getLong();
        Expect.sameBytes(bytes, Numbered.event(writer, key, sequence, bytes.length), "event " + sequence + " of writer " + writer);
        out.println("event " + writer + " " + key + " " + sequence + " " + bytes.length);
        out.flush();
    }
}
