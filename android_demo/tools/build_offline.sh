#!/bin/sh
# A signed APK without Gradle, Android Studio or Google's repositories: see offline_apk.py beside this file.
exec "${PYTHON:-python3}" "$(dirname "$0")/offline_apk.py" "$@"
