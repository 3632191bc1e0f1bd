package millrace.interop;

import io.pravega.client.BatchClientFactory;
import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.StreamManager;
import io.pravega.client.connection.impl.ConnectionPoolImpl;
import io.pravega.client.connection.impl.SocketConnectionFactoryImpl;
import io.pravega.client.control.impl.Controller;
import io.pravega.client.control.impl.ControllerImpl;
import io.pravega.client.control.impl.ControllerImplConfig;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import io.pravega.client.stream.Transaction;
import io.pravega.client.stream.TransactionalEventStreamWriter;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * {@code OpenTransactions URI STREAM}: opens very many transactions, each with an event, and sees later what has become of them. Takes
 * a command from each line of its input and answers with {@code ok}, or {@code failed} with a reason.
 *
 * <pre>
 * open COUNT        opens so many more, with the shortest lease, and pings them
 * end               aborts all of them
 * leave             pings them no more
 * commit COUNT      commits so many of them, and waits until that is done
 * gone              waits until the others have timed out
 * events COUNT      finds so many events in the stream, each once
 * </pre>
 */
public final class OpenTransactions {
    private static final String SCOPE = "transactions";
    private static final int AT_ONCE = 16;
    private static final Duration PATIENCE = Duration.ofSeconds(120);

    private final ClientConfig config;
    private final Stream stream;
    private Controller controller;
    private final EventStreamClientFactory events;
    private final ExecutorService workers = Executors.newFixedThreadPool(AT_ONCE);
    private final Map<UUID, Transaction<byte[]>> open = new ConcurrentHashMap<>();
    private TransactionalEventStreamWriter<byte[]> writer;
    private int written;

    private OpenTransactions(String[] args) {
        config = ClientConfig.builder().controllerURI(URI.create(args[0])).build();
        stream = Stream.of(SCOPE, args[1]);
        controller = controller();
        try (StreamManager streams = StreamManager.create(config)) {
            streams.createScope(SCOPE);
            streams.createStream(SCOPE, args[1], Fixture.segments(1));
        }
        events = EventStreamClientFactory.withScope(SCOPE, config);
        writer = writer();
    }

    public static void main(String[] args) throws Exception {
        OpenTransactions program = new OpenTransactions(args);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.trim().split(" +");
            try {
                program.obey(words[0], words.length > 1 ? Integer.parseInt(words[1]) : 0);
                System.out.println("ok");
            } catch (Exception | AssertionError e) {
                System.out.println("failed " + String.valueOf(Expect.unwrap(e)).replace('\n', ' '));
            }
        }
        System.exit(0);
    }

    private Controller controller() {
        return new ControllerImpl(ControllerImplConfig.builder().clientConfig(config).build(),
                new ConnectionPoolImpl(config, new SocketConnectionFactoryImpl(config)).getInternalExecutor());
    }

    /** Without a pool each transaction has a connection of its own, and the client a MiB of memory for it. */
    private TransactionalEventStreamWriter<byte[]> writer() {
        return events.createTransactionalEventWriter(stream.getStreamName(), Fixture.BYTES,
                EventWriterConfig.builder().transactionTimeoutTime(Transactions.LEASE_MS).enableConnectionPooling(true).build());
    }

    private void obey(String word, int count) throws Exception {
        switch (word) {
            case "open":
                open(count);
                return;
            case "end":
                each(new ArrayList<>(open.keySet()), id -> controller.abortTransaction(stream, id).get(60, TimeUnit.SECONDS));
                open.keySet().forEach(this::forget);
                return;
            case "leave":
                writer.close();
                writer = writer();
                return;
            case "commit":
                // One that has seen the server go away may wait longer between two attempts than a lease lasts.
                controller.close();
                controller = controller();
                List<UUID> ids = new ArrayList<>(open.keySet());
                Collections.sort(ids);
                ids = ids.subList(0, count);
                each(ids, id -> controller.commitTransaction(stream, "writer", null, id).get(60, TimeUnit.SECONDS));
                each(ids, id -> await(id, Transaction.Status.COMMITTED));
                ids.forEach(this::forget);
                return;
            case "gone":
                each(new ArrayList<>(open.keySet()), id -> await(id, Transaction.Status.ABORTED));
                open.keySet().forEach(this::forget);
                return;
            case "events":
                events(count);
                return;
            default:
                throw new IllegalArgumentException("no such command: " + word);
        }
    }

    private void forget(UUID id) {
        open.remove(id);
    }

    private interface Work {
        void on(UUID id) throws Exception;
    }

    private void each(List<UUID> ids, Work work) throws Exception {
        List<Future<?>> parts = new ArrayList<>();
        for (UUID id : ids) {
            parts.add(workers.submit(() -> {
                work.on(id);
                return null;
            }));
        }
        for (Future<?> part : parts) {
            Fixture.join(part);
        }
    }

    private void open(int count) throws Exception {
        List<Future<?>> parts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = written++;
            parts.add(workers.submit(() -> {
                Transaction<byte[]> transaction = writer.beginTxn();
                open.put(transaction.getTxnId(), transaction);
                transaction.writeEvent(Numbered.keyName(number), Numbered.event(1, number, 0, 100));
                transaction.flush();
                return null;
            }));
        }
        for (Future<?> part : parts) {
            Fixture.join(part);
        }
    }

    private void await(UUID id, Transaction.Status status) throws Exception {
        Expect.eventually(PATIENCE, "the transaction " + id + " is " + status, () ->
                controller.checkTransactionStatus(stream, id).get(60, TimeUnit.SECONDS) == status);
    }

    private void events(int count) {
        try (BatchClientFactory batch = BatchClientFactory.withScope(SCOPE, config)) {
            Numbered.Ledger ledger = new Numbered.Ledger(count);
            Readers.batch(batch, stream, StreamCut.UNBOUNDED, StreamCut.UNBOUNDED).forEach(ledger::accept);
            ledger.checkComplete();
        }
    }
}
