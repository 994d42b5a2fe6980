// Not run where this was written: its plugins come from Google's Maven repository, which was out of reach there.
// tools/build_offline.sh builds the same sources from public registries; see README.md.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}
dependencyResolutionManagement {
    repositoriesMode.set(RepositoriesMode.FAIL_ON_PROJECT_REPOS)
    repositories {
        google()
        mavenCentral()
    }
}
rootProject.name = "emoca-tf-android"
include(":app")
