#!/usr/bin/env bash
# Makes the vectors in packages/millrace/src/protocol/golden/ with Pravega's own classes. They are committed: only who adds
# vectors needs this, a JDK (11 or newer) and Maven. The same classes give the same files.
set -euo pipefail
cd "$(dirname "$0")"
mvn -q -B compile dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=target/lib
java -Dio.netty.leakDetection.level=disabled -cp 'target/classes:target/lib/*' millrace.golden.Golden ../../packages/millrace/src/protocol/golden
