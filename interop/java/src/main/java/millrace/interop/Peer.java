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
import io.pravega.client.stream.Transaction;
import io.pravega.client.stream.TransactionalEventStreamWriter;
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
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * {@code Peer URI [COMMAND...]}: the Java client as somebody else's counterpart. Without a command it takes one from each line of
 * its input. What it does it tells in lines; the last one of every command is {@code ok}, or {@code failed} with a reason.
 *
 * <pre>
 * scope SCOPE                                     creates it, if it is not there
 * stream SCOPE STREAM SEGMENTS                    creates it, if it is not there
 * write SCOPE STREAM WRITER KEYS COUNT BYTES [MS] writes COUNT events, each under one of KEYS keys in turn, and takes MS for it
 *                                                 -> acked WRITER KEY SEQUENCE, for each
 * group SCOPE GROUP STREAM...                     creates a reader group
 * read SCOPE GROUP READER COUNT                   reads COUNT events as one reader of a group, and leaves it
 *                                                 -> event WRITER KEY SEQUENCE BYTES, for each
 * batch SCOPE STREAM                              reads all that is there -> event ..., for each
 * begin SCOPE STREAM                              begins a transaction -> transaction ID
 * find SCOPE STREAM ID                            takes up one that was begun elsewhere -> status STATUS
 * add ID WRITER KEYS COUNT FROM                   writes COUNT events under each of KEYS keys, from sequence FROM on
 * status ID                                       -> status STATUS
 * commit ID, abort ID                             ends it
 * </pre>
 * The events are {@link Numbered}'s.
 */
public final class Peer {
    private static final long PATIENCE_NS = 30_000_000_000L;

    private final ClientConfig config;
    private final PrintWriter out;
    private final Map<String, TransactionalEventStreamWriter<byte[]>> writers = new HashMap<>();
    private final Map<UUID, Transaction<byte[]>> transactions = new HashMap<>();

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
            case "begin":
                Transaction<byte[]> begun = transactions(words[1], words[2]).beginTxn();
                transactions.put(begun.getTxnId(), begun);
                out.println("transaction " + begun.getTxnId());
                return;
            case "find":
                Transaction<byte[]> found = transactions(words[1], words[2]).getTxn(UUID.fromString(words[3]));
                transactions.put(found.getTxnId(), found);
                out.println("status " + found.checkStatus());
                return;
            case "add":
            case "status":
            case "commit":
            case "abort":
                transact(transactions.get(UUID.fromString(words[1])), words);
                return;
            default:
                throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    /** Lives as long as the program, which pings the transactions. */
    private TransactionalEventStreamWriter<byte[]> transactions(String scope, String stream) {
        return writers.computeIfAbsent(scope + "/" + stream, name -> EventStreamClientFactory.withScope(scope, config)
                .createTransactionalEventWriter(stream, Fixture.BYTES, EventWriterConfig.builder().transactionTimeoutTime(30_000).build()));
    }

    private void transact(Transaction<byte[]> transaction, String[] words) throws Exception {
        switch (words[0]) {
            case "add":
                long from = Long.parseLong(words[5]);
                Transactions.write(transaction, Integer.parseInt(words[2]), Integer.parseInt(words[3]), from, from + Long.parseLong(words[4]));
                transaction.flush();
                return;
            case "commit":
                transaction.commit();
                return;
            case "abort":
                transaction.abort();
                return;
            default:
                out.println("status " + transaction.checkStatus());
        }
    }

    private void write(String[] words) throws Exception {
        int id = Integer.parseInt(words[3]);
        int keys = Integer.parseInt(words[4]);
        int count = Integer.parseInt(words[5]);
        int bytes = Integer.parseInt(words[6]);
        long ns = words.length > 7 ? TimeUnit.MILLISECONDS.toNanos(Long.parseLong(words[7])) : 0;
        try (EventStreamClientFactory events = EventStreamClientFactory.withScope(words[1], config);
                EventStreamWriter<byte[]> writer = events.createEventWriter(words[2], Fixture.BYTES, EventWriterConfig.builder().build())) {
            List<CompletableFuture<Void>> acks = new ArrayList<>();
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                TimeUnit.NANOSECONDS.sleep(start + ns * i / count - System.nanoTime());
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
            Stream stream = Stream.of(words[1], words[2]);
            for (SegmentRange range : Readers.ranges(batch, stream, StreamCut.UNBOUNDED, StreamCut.UNBOUNDED)) {
                try (SegmentIterator<byte[]> events = batch.readSegment(range, Fixture.BYTES)) {
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
