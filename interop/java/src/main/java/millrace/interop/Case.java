package millrace.interop;

import java.time.Duration;

/** One thing that a server must be able to do, told with the public client alone. */
final class Case {
    interface Body {
        void run(Fixture fixture) throws Exception;
    }

    private static final Duration LIMIT = Duration.ofSeconds(60);

    final String name;
    final Body body;
    final Duration limit;
    private final Server only;

    enum Server {
        MILLRACE, PRAVEGA
    }

    private Case(String name, Body body, Duration limit, Server only) {
        this.name = name;
        this.body = body;
        this.limit = limit;
        this.only = only;
    }

    static Case of(String name, Body body) {
        return new Case(name, body, LIMIT, null);
    }

    Case within(Duration other) {
        return new Case(name, body, other, only);
    }

    /** Pravega's own server does what Millrace refuses here, or does it wrong. */
    Case oursOnly() {
        return new Case(name, body, limit, Server.MILLRACE);
    }

    /** What Millrace does not serve yet. The case is kept in shape by running it against Pravega's own server. */
    Case pravegaOnly() {
        return new Case(name, body, limit, Server.PRAVEGA);
    }

    boolean isFor(Server server) {
        return only == null || only == server;
    }
}
