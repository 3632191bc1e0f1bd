package millrace.interop;

import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.ReaderGroupManager;
import io.pravega.client.admin.StreamManager;
import io.pravega.client.connection.impl.ConnectionPoolImpl;
import io.pravega.client.connection.impl.SocketConnectionFactoryImpl;
import io.pravega.client.control.impl.Controller;
import io.pravega.client.control.impl.ControllerImpl;
import io.pravega.client.control.impl.ControllerImplConfig;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.ReaderConfig;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.Stream;
import java.io.BufferedWriter;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * {@code Acked URI SCOPE STREAM LOG SEED plain|elastic}: writers and a reader that go on while the server is killed under them, until
 * their input ends. What was acknowledged, sent and read is written to LOG, LOG.sent and LOG.read in lines of writer, key and
 * sequence, for {@link Check}. The number of acknowledgements is printed whenever it has grown. An elastic one also scales the stream
 * now and then, and writes transactions, which it lists in LOG.transactions.
 */
public final class Acked {
    private static final int WRITERS = 4;
    private static final int KEYS = 16;
    /** What there are at least; an elastic load has up to SEGMENTS_MAX. */
    private static final int SEGMENTS = 2;
    private static final int SEGMENTS_MAX = 8;
    /**
     * Each transaction that is open when the stream scales adds two generations of segments when it is committed, and Java's writers
     * go through all of them, one segment after the other: with more of both they fall behind for good.
     */
    private static final int TRANSACTION_WRITERS = 1;
    private static final int SCALE_PAUSE_MS_MIN = 2_000;
    private static final int SCALE_PAUSE_MS_MAX = 8_000;
    /** Of one writer. More would only make the lists longer. */
    private static final int UNDER_WAY_MAX = 256;
    private static final int EVENTS_PER_PAUSE = 8;
    private static final long PAUSE_MS = 4;
    private static final long LAST_ACKS_SECONDS_MAX = 120;

    private final ClientConfig config;
    private final String scope;
    private final String stream;
    private final long seed;
    private final boolean elastic;
    private final AtomicBoolean stopping = new AtomicBoolean();
    private final AtomicLong acked = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();
    private final Log ackLog;
    private final Log sentLog;
    private final Log readLog;
    private final TransactionLoad transactions;

    private Acked(String[] args) throws IOException {
        config = ClientConfig.builder().controllerURI(URI.create(args[0])).build();
        scope = args[1];
        stream = args[2];
        ackLog = new Log(Path.of(args[3]));
        sentLog = new Log(Path.of(args[3] + ".sent"));
        readLog = new Log(Path.of(args[3] + ".read"));
        seed = Long.parseLong(args[4]);
        elastic = args[5].equals("elastic");
        transactions = new TransactionLoad(config, scope, stream, Path.of(args[3] + ".transactions"), seed, stopping);
    }

    /** Lines in the order of the calls. */
    private static final class Log {
        private final BufferedWriter out;

        Log(Path path) throws IOException {
            out = Files.newBufferedWriter(path);
        }

        synchronized void add(int writer, int key, long sequence) {
            try {
                out.write(writer + " " + key + " " + sequence + "\n");
            } catch (IOException e) {
                throw new IllegalStateException("cannot write the log", e);
            }
        }

        synchronized void close() throws IOException {
            out.close();
        }
    }

    public static void main(String[] args) throws Exception {
        new Acked(args).run();
        System.exit(0);
    }

    private void run() throws Exception {
        try (StreamManager streams = StreamManager.create(config)) {
            streams.createScope(scope);
            streams.createStream(scope, stream, Fixture.segments(SEGMENTS));
        }
        try (ReaderGroupManager groups = ReaderGroupManager.withScope(scope, config)) {
            groups.createReaderGroup("tail", ReaderGroupConfig.builder().stream(Stream.of(scope, stream))
                    .automaticCheckpointIntervalMillis(1_000).groupRefreshTimeMillis(500).build());
        }
        List<Thread> writers = new ArrayList<>();
        for (int i = 0; i < WRITERS; i++) {
            int writer = i;
            writers.add(new Thread(() -> write(writer), "writer-" + i));
        }
        for (int i = 0; elastic && i < TRANSACTION_WRITERS; i++) {
            int writer = TransactionLoad.WRITER_FIRST + i;
            writers.add(new Thread(() -> transactions.write(writer), "transactions-" + i));
        }
        writers.forEach(Thread::start);
        Thread reader = background(this::read, "reader");
        background(this::tell, "teller");
        if (elastic) {
            background(this::scale, "scaler");
        }
        while (System.in.read() >= 0) {
            // Only its end means something.
        }
        stopping.set(true);
        for (Thread writer : writers) {
            writer.join();
        }
        // A reader that waits for a reply cannot be stopped; what it has read so far is in the log.
        reader.join(2_000);
        ackLog.close();
        sentLog.close();
        readLog.close();
        transactions.close();
        System.out.println("done " + acked.get() + " acknowledged, " + failed.get() + " given up by the client");
    }

    private static Thread background(Runnable work, String name) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    /** Short waits between attempts: what is tested is the server, again and again. */
    private EventStreamWriter<byte[]> open(EventStreamClientFactory events) {
        return events.createEventWriter(stream, Fixture.BYTES, EventWriterConfig.builder()
                .initialBackoffMillis(10).backoffMultiple(2).maxBackoffMillis(100).retryAttempts(100).build());
    }

    private void write(int writer) {
        Random random = new Random(seed * 31 + writer);
        long[] next = new long[KEYS];
        Semaphore underWay = new Semaphore(UNDER_WAY_MAX);
        AtomicBoolean broken = new AtomicBoolean();
        try (EventStreamClientFactory events = EventStreamClientFactory.withScope(scope, config)) {
            EventStreamWriter<byte[]> stub = open(events);
            while (!stopping.get()) {
                if (broken.getAndSet(false)) {
                    // Whether the events that were given up are there is unknown; they are never sent again.
                    underWay.tryAcquire(UNDER_WAY_MAX, 5, TimeUnit.SECONDS);
                    underWay = new Semaphore(UNDER_WAY_MAX);
                    stub = open(events);
                }
                for (int i = 0; i < EVENTS_PER_PAUSE; i++) {
                    send(stub, writer, random, next, underWay, broken);
                }
                Thread.sleep(PAUSE_MS);
            }
            underWay.tryAcquire(UNDER_WAY_MAX, LAST_ACKS_SECONDS_MAX, TimeUnit.SECONDS);
        } catch (Exception e) {
            System.out.println("writer " + writer + " ended: " + e);
        }
    }

    private void send(EventStreamWriter<byte[]> stub, int writer, Random random, long[] next, Semaphore underWay, AtomicBoolean broken)
            throws InterruptedException {
        while (!underWay.tryAcquire(100, TimeUnit.MILLISECONDS)) {
            if (stopping.get() || broken.get()) {
                return;
            }
        }
        int key = random.nextInt(KEYS);
        long sequence = next[key]++;
        // Most are small, a few fill many blocks, so that kills hit frames of all lengths.
        int bytes = random.nextInt(200) == 0 ? random.nextInt(300_000) : random.nextInt(500);
        sentLog.add(writer, key, sequence);
        try {
            stub.writeEvent(Numbered.keyName(key), Numbered.event(writer, key, sequence, bytes)).whenComplete((nothing, failure) -> {
                if (failure == null) {
                    ackLog.add(writer, key, sequence);
                    acked.incrementAndGet();
                } else {
                    failed.incrementAndGet();
                    broken.set(true);
                }
                underWay.release();
            });
        } catch (RuntimeException e) {
            underWay.release();
            failed.incrementAndGet();
            broken.set(true);
        }
    }

    private void read() {
        int reader = 0;
        while (!stopping.get()) {
            try (EventStreamClientFactory events = EventStreamClientFactory.withScope(scope, config);
                    EventStreamReader<byte[]> stub = events.createReader("reader-" + reader++, "tail", Fixture.BYTES,
                            ReaderConfig.builder().build())) {
                while (!stopping.get()) {
                    byte[] event = stub.readNextEvent(100).getEvent();
                    if (event != null) {
                        var header = java.nio.ByteBuffer.wrap(event);
                        readLog.add(header.getInt(), header.getInt(), header.getLong());
                    }
                }
            } catch (RuntimeException e) {
                System.out.println("the reader begins anew after " + e);
                pause(1_000);
            }
        }
    }

    /** Others scale as well, so a request may come too late, and it may be cut off at any point. */
    private void scale() {
        Random random = new Random(seed);
        ScheduledExecutorService executor = Executors.newScheduledThreadPool(2);
        Stream scaled = Stream.of(scope, stream);
        try (ConnectionPoolImpl connections = new ConnectionPoolImpl(config, new SocketConnectionFactoryImpl(config));
                Controller controller = new ControllerImpl(ControllerImplConfig.builder().clientConfig(config).build(),
                        connections.getInternalExecutor())) {
            while (!stopping.get()) {
                pause(SCALE_PAUSE_MS_MIN + random.nextInt(SCALE_PAUSE_MS_MAX - SCALE_PAUSE_MS_MIN));
                try {
                    Scaling.Plan plan = Scaling.random(controller, scaled, random, SEGMENTS, SEGMENTS_MAX);
                    Scaling.scale(controller, scaled, plan.seal, plan.into, executor);
                } catch (Exception e) {
                    // What is left half done is the server's to finish.
                }
            }
        }
    }

    private void tell() {
        long told = 0;
        while (true) {
            long count = acked.get();
            if (count > told) {
                System.out.println("acked " + count);
                told = count;
            }
            pause(20);
        }
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
