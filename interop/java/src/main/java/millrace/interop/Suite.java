package millrace.interop;

import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * {@code Suite [--pravega] [--list] URI [PATTERN...]}: runs the cases whose names contain one of the patterns, a few at a time,
 * each in a scope of its own. {@code --pravega} says that the server is Pravega's own. The status is 0 when all passed, 1 when
 * some failed, and 3 when no name contains a pattern.
 */
public final class Suite {
    private static final int AT_ONCE = 4;

    private Suite() {
    }

    public static void main(String[] args) {
        List<String> flags = Arrays.stream(args).filter(arg -> arg.startsWith("--")).collect(Collectors.toList());
        List<String> words = Arrays.stream(args).filter(arg -> !arg.startsWith("--")).collect(Collectors.toList());
        if (words.isEmpty() || !List.of("--pravega", "--list").containsAll(flags)) {
            System.err.println("usage: Suite [--pravega] [--list] URI [PATTERN...]");
            System.exit(2);
        }
        // Else the client looks for changes of which it tells every two minutes.
        System.setProperty("pravega.client.segmentNotification.poll.interval.seconds", "1");
        System.setProperty("pravega.client.endOfDataNotification.poll.interval.seconds", "1");
        List<Case> cases = chosen(words.subList(1, words.size()),
                flags.contains("--pravega") ? Case.Server.PRAVEGA : Case.Server.MILLRACE);
        if (flags.contains("--list")) {
            cases.forEach(each -> System.out.println(each.name));
            System.exit(0);
        }
        if (cases.isEmpty()) {
            System.exit(3);
        }
        System.exit(run(URI.create(words.get(0)), cases) ? 0 : 1);
    }

    private static List<Case> chosen(List<String> patterns, Case.Server server) {
        return Stream.of(FirstEventCases.all(), AdminCases.all(), StreamCases.all(), EventCases.all(), SizeCases.all(),
                GroupCases.all(), CheckpointCases.all(), CutCases.all(), ByteCases.all(), RevisionCases.all(),
                TableCases.all(), ScaleCases.all(), ScaledReadingCases.all(), TransactionCases.all(), TransactionEndCases.all(),
                UnservedCases.all())
                .flatMap(List::stream)
                .filter(each -> each.isFor(server))
                .filter(each -> patterns.isEmpty() || patterns.stream().anyMatch(pattern -> contains(each.name, pattern)))
                .collect(Collectors.toList());
    }

    private static boolean contains(String name, String pattern) {
        return name.toLowerCase(Locale.ROOT).contains(pattern.toLowerCase(Locale.ROOT));
    }

    /** Several at once, since most of a case is waiting: for checkpoints, leases and the client's own timers. */
    private static boolean run(URI controller, List<Case> cases) {
        ExecutorService workers = Executors.newFixedThreadPool(AT_ONCE);
        List<Future<Boolean>> outcomes = new ArrayList<>();
        for (Case each : cases) {
            outcomes.add(workers.submit(() -> passes(controller, each)));
        }
        int passed = 0;
        for (Future<Boolean> outcome : outcomes) {
            try {
                passed += outcome.get() ? 1 : 0;
            } catch (InterruptedException | ExecutionException e) {
                e.printStackTrace();
            }
        }
        System.out.printf("%d passed, %d failed%n", passed, cases.size() - passed);
        return passed == cases.size();
    }

    private static boolean passes(URI controller, Case each) {
        long start = System.nanoTime();
        Throwable failure = run(controller, each);
        double seconds = (System.nanoTime() - start) / 1e9;
        synchronized (System.out) {
            if (failure == null) {
                System.out.printf(Locale.ROOT, "ok   %s (%.1f s)%n", each.name, seconds);
            } else {
                System.out.printf(Locale.ROOT, "FAIL %s: %s (%.1f s)%n", each.name, firstLine(failure), seconds);
                failure.printStackTrace();
            }
        }
        return failure == null;
    }

    /** What went wrong, or null. A case that takes too long is left behind: the client has calls that nothing can interrupt. */
    private static Throwable run(URI controller, Case each) {
        FutureTask<Void> task = new FutureTask<>(() -> {
            try (Fixture fixture = new Fixture(controller, each.name)) {
                each.body.run(fixture);
            }
            return null;
        });
        Thread thread = new Thread(task, "case");
        thread.setDaemon(true);
        thread.start();
        try {
            task.get(each.limit.toMillis(), TimeUnit.MILLISECONDS);
            return null;
        } catch (ExecutionException e) {
            return e.getCause();
        } catch (TimeoutException e) {
            AssertionError late = new AssertionError("not done after " + each.limit.toSeconds() + " s");
            late.setStackTrace(thread.getStackTrace());
            thread.interrupt();
            return late;
        } catch (InterruptedException e) {
            return e;
        }
    }

    private static String firstLine(Throwable failure) {
        String text = failure instanceof AssertionError ? failure.getMessage() : failure.toString();
        return String.valueOf(text).split("\n", 2)[0];
    }
}
