package millrace.interop;

import io.pravega.client.BatchClientFactory;
import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.ReaderGroupManager;
import io.pravega.client.admin.StreamManager;
import io.pravega.client.connection.impl.ConnectionPool;
import io.pravega.client.connection.impl.ConnectionPoolImpl;
import io.pravega.client.connection.impl.SocketConnectionFactoryImpl;
import io.pravega.client.control.impl.Controller;
import io.pravega.client.control.impl.ControllerImpl;
import io.pravega.client.control.impl.ControllerImplConfig;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.ReaderConfig;
import io.pravega.client.stream.ReaderGroup;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.ScalingPolicy;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamConfiguration;
import io.pravega.client.stream.StreamCut;
import io.pravega.client.stream.impl.ByteArraySerializer;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;

/** A scope of a case's own with clients for it. At the end the clients close, last first, and the scope goes with all it holds. */
final class Fixture implements AutoCloseable {
    static final ByteArraySerializer BYTES = new ByteArraySerializer();

    final URI controllerUri;
    final ClientConfig config;
    final String scope;
    final StreamManager streams;
    /** For checkpoints: without an executor of the caller's they wait for each other in the client. */
    final ScheduledExecutorService executor = Executors.newScheduledThreadPool(2, Fixture::daemon);
    private final ExecutorService workers = Executors.newCachedThreadPool(Fixture::daemon);
    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private EventStreamClientFactory events;
    private ReaderGroupManager groups;
    private BatchClientFactory batch;
    private Controller controller;
    private ConnectionPool connections;

    Fixture(URI controllerUri, String name) {
        this.controllerUri = controllerUri;
        config = ClientConfig.builder().controllerURI(controllerUri).build();
        scope = name.replaceAll("[^a-zA-Z0-9]+", "-") + "-" + Long.toString(System.nanoTime(), 36);
        streams = StreamManager.create(config);
        Expect.that(streams.createScope(scope), "the scope is new");
    }

    synchronized <T extends AutoCloseable> T closing(T resource) {
        open.push(resource);
        return resource;
    }

    synchronized EventStreamClientFactory events() {
        if (events == null) {
            events = closing(EventStreamClientFactory.withScope(scope, config));
        }
        return events;
    }

    synchronized ReaderGroupManager groups() {
        if (groups == null) {
            groups = closing(ReaderGroupManager.withScope(scope, config));
        }
        return groups;
    }

    synchronized BatchClientFactory batch() {
        if (batch == null) {
            batch = closing(BatchClientFactory.withScope(scope, config));
        }
        return batch;
    }

    /** For what the public interfaces check in the client, or do not show at all. */
    synchronized Controller controller() {
        if (controller == null) {
            controller = closing(new ControllerImpl(ControllerImplConfig.builder().clientConfig(config).build(),
                    connections().getInternalExecutor()));
        }
        return controller;
    }

    synchronized ConnectionPool connections() {
        if (connections == null) {
            connections = closing(new ConnectionPoolImpl(config, new SocketConnectionFactoryImpl(config)));
        }
        return connections;
    }

    static StreamConfiguration segments(int count) {
        return StreamConfiguration.builder().scalingPolicy(ScalingPolicy.fixed(count)).build();
    }

    Stream stream(String name, int segments) {
        Expect.that(streams.createStream(scope, name, segments(segments)), "the stream " + name + " is new");
        return Stream.of(scope, name);
    }

    EventStreamWriter<byte[]> writer(String stream) {
        return writer(stream, EventWriterConfig.builder().build());
    }

    EventStreamWriter<byte[]> writer(String stream, EventWriterConfig writerConfig) {
        return closing(events().createEventWriter(stream, BYTES, writerConfig));
    }

    /** From the head to the end of time, without checkpoints of its own. */
    ReaderGroup group(String name, String... streamNames) {
        ReaderGroupConfig.ReaderGroupConfigBuilder builder = groupConfig();
        for (String stream : streamNames) {
            builder.stream(Stream.of(scope, stream));
        }
        return group(name, builder.build());
    }

    ReaderGroup group(String name, ReaderGroupConfig groupConfig) {
        Expect.that(groups().createReaderGroup(name, groupConfig), "the group " + name + " is new");
        return closing(groups().getReaderGroup(name));
    }

    static ReaderGroupConfig.ReaderGroupConfigBuilder groupConfig() {
        return ReaderGroupConfig.builder().disableAutomaticCheckpoints().groupRefreshTimeMillis(500);
    }

    EventStreamReader<byte[]> reader(String id, String group) {
        return closing(events().createReader(id, group, BYTES, ReaderConfig.builder().build()));
    }

    /** The cut at which a stream ends now. */
    StreamCut tail(Stream stream) {
        return streams.fetchStreamInfo(scope, stream.getStreamName()).join().getTailStreamCut();
    }

    StreamCut head(Stream stream) {
        return streams.fetchStreamInfo(scope, stream.getStreamName()).join().getHeadStreamCut();
    }

    <T> Future<T> start(Callable<T> work) {
        return workers.submit(work);
    }

    /** Runs one piece of work for each number below the count, all at once. The first failure is the caller's. */
    void together(int count, NumberedWork work) throws Exception {
        List<Future<Void>> parts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = i;
            parts.add(start(() -> {
                work.run(number);
                return null;
            }));
        }
        for (Future<Void> part : parts) {
            join(part);
        }
    }

    interface NumberedWork {
        void run(int number) throws Exception;
    }

    static <T> T join(Future<T> future) throws Exception {
        try {
            return future.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Error) {
                throw (Error) e.getCause();
            }
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
        }
    }

    @Override
    public void close() throws Exception {
        try {
            while (true) {
                AutoCloseable next;
                synchronized (this) {
                    next = open.poll();
                }
                if (next == null) {
                    break;
                }
                next.close();
            }
            if (streams.checkScopeExists(scope)) {
                Expect.that(streams.deleteScopeRecursive(scope), "the scope is deleted with all that it holds");
            }
        } finally {
            streams.close();
            workers.shutdownNow();
            executor.shutdownNow();
        }
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work, "case-worker");
        thread.setDaemon(true);
        return thread;
    }
}
