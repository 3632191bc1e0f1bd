package millrace.interop;

import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.Transaction;
import io.pravega.client.stream.TransactionalEventStreamWriter;
import io.pravega.client.stream.TxnFailedException;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Writers of transactions that go on while the server is killed under them. Most they commit, some through another client that
 * finds them by their id, some they abort, and some they leave to time out. What has become of each goes into a list, in lines of
 * its fate, the writer, and the keys and sequences of its events:
 *
 * <pre>
 * committed 50 3 0 7 0 3 1      all of them are there
 * aborted 50 2 0                none of them ever was: it was aborted or left, or nobody had asked for the commit
 * unknown 51 3 0 4 0            all of them or none
 * </pre>
 */
final class TransactionLoad {
    /** Different from those of the plain writers. */
    static final int WRITER_FIRST = 50;
    private static final int KEYS = 16;
    private static final int EVENTS_MAX = 20;
    private static final int EVENTS_MAX_RARELY = 300;
    private static final long LEASE_MS = 10_000;
    private static final long SETTLE_MS_MAX = 60_000;
    private static final long PAUSE_MS = 200;

    private final ClientConfig config;
    private final String scope;
    private final String stream;
    private final long seed;
    private final AtomicBoolean stopping;
    private final BufferedWriter log;

    TransactionLoad(ClientConfig config, String scope, String stream, Path log, long seed, AtomicBoolean stopping) throws IOException {
        this.config = config;
        this.scope = scope;
        this.stream = stream;
        this.seed = seed;
        this.stopping = stopping;
        this.log = Files.newBufferedWriter(log);
    }

    synchronized void close() throws IOException {
        log.close();
    }

    private synchronized void note(String fate, int writer, CharSequence events) {
        try {
            log.write(fate + " " + writer + events + "\n");
        } catch (IOException e) {
            throw new IllegalStateException("cannot write the log", e);
        }
    }

    private TransactionalEventStreamWriter<byte[]> open(EventStreamClientFactory events) {
        return events.createTransactionalEventWriter(stream, Fixture.BYTES, EventWriterConfig.builder()
                .initialBackoffMillis(10).backoffMultiple(2).maxBackoffMillis(100).retryAttempts(100)
                .transactionTimeoutTime(LEASE_MS).build());
    }

    void write(int writer) {
        Random random = new Random(seed * 31 + writer);
        long[] next = new long[KEYS];
        try (EventStreamClientFactory events = EventStreamClientFactory.withScope(scope, config)) {
            while (!stopping.get()) {
                // A writer that closes pings its transactions no more.
                try (TransactionalEventStreamWriter<byte[]> stub = open(events)) {
                    while (!stopping.get() && one(events, stub, writer, random, next)) {
                        Thread.sleep(random.nextInt(50));
                    }
                } catch (RuntimeException e) {
                    Thread.sleep(PAUSE_MS);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** False if it leaves the transaction, which takes a new writer. */
    private boolean one(EventStreamClientFactory events, TransactionalEventStreamWriter<byte[]> stub, int writer, Random random, long[] next)
            throws InterruptedException {
        Transaction<byte[]> transaction = stub.beginTxn();
        StringBuilder written = new StringBuilder();
        String fate = "aborted";
        boolean goesOn = true;
        try {
            int count = 1 + random.nextInt(random.nextInt(20) == 0 ? EVENTS_MAX_RARELY : EVENTS_MAX);
            for (int i = 0; i < count; i++) {
                int key = random.nextInt(KEYS);
                long sequence = next[key]++;
                written.append(' ').append(key).append(' ').append(sequence);
                transaction.writeEvent(Numbered.keyName(key), Numbered.event(writer, key, sequence, random.nextInt(500)));
            }
            Thread.sleep(random.nextInt(100));
            double choice = random.nextDouble();
            if (choice < 0.75) {
                fate = commit(stub, transaction);
            } else if (choice < 0.85) {
                transaction.abort();
            } else {
                goesOn = false;
                transaction.flush();
                if (choice < 0.95) {
                    try (TransactionalEventStreamWriter<byte[]> other = open(events)) {
                        fate = commit(other, other.getTxn(transaction.getTxnId()));
                    }
                }
            }
        } catch (TxnFailedException | RuntimeException e) {
            // Before anybody asked for a commit, so it stays what it is.
            goesOn = false;
        }
        note(fate, writer, written);
        return goesOn;
    }

    private String commit(TransactionalEventStreamWriter<byte[]> stub, Transaction<byte[]> transaction) throws InterruptedException {
        boolean recorded = false;
        try {
            transaction.commit();
            recorded = true;
        } catch (TxnFailedException e) {
            return "aborted";
        } catch (RuntimeException e) {
            // The client has given up asking; the transaction itself says more.
        }
        long end = System.nanoTime() + SETTLE_MS_MAX * 1_000_000;
        while (System.nanoTime() < end) {
            try {
                switch (statusOf(stub, transaction.getTxnId())) {
                    case COMMITTED:
                        return "committed";
                    case ABORTING:
                    case ABORTED:
                        // What was recorded as committed must not end so, which the check will find.
                        return recorded ? "committed" : "aborted";
                    default:
                        break;
                }
            } catch (RuntimeException e) {
                // Asked again below.
            }
            Thread.sleep(10);
        }
        return recorded ? "committed" : "unknown";
    }

    /** Asks for the commit again if nobody has heard of it. */
    private static Transaction.Status statusOf(TransactionalEventStreamWriter<byte[]> stub, UUID id) {
        Transaction<byte[]> found = stub.getTxn(id);
        Transaction.Status status = found.checkStatus();
        if (status == Transaction.Status.OPEN) {
            try {
                found.commit();
            } catch (TxnFailedException e) {
                return found.checkStatus();
            }
        }
        return status;
    }
}
