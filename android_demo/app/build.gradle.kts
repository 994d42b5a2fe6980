import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.emoca.demo"
    compileSdk = 36
    defaultConfig {
        applicationId = "org.emoca.demo"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    // plain: what needs no android.*, checked on a desktop JVM. Engine and runtime are plain too; their sources become part
    // of the app. gpu: the optional runner on LiteRT's delegate; leave it out together with its three dependencies.
    sourceSets["main"].kotlin.srcDirs(
        "src/plain/kotlin", "src/gpu/kotlin", "../engine/src/main/kotlin", "../runtime/src/main/kotlin",
    )
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    // Stored as they are: models are mapped, and AGP aligns uncompressed libraries to 16 KB.
    androidResources { noCompress += "tflite" }
    packaging {
        jniLibs { useLegacyPackaging = false }
        resources { excludes += setOf("META-INF/versions/**", "META-INF/native-image/**", "META-INF/maven/**") }
    }
    buildTypes {
        release {
            isMinifyEnabled = false
            signingConfig = signingConfigs["debug"] // a demo: put your own key here before you give it away
        }
    }
}

kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_11 } }

dependencies {
    // TensorFlow Lite with XNNPACK, linked for 16 KB pages; versions as in tools/versions.tsv.
    implementation("org.bytedeco:tensorflow-lite:2.21.0-1.5.14")
    implementation("org.bytedeco:javacpp:1.5.14")
    for (platform in listOf("android-arm64", "android-x86_64")) {
        implementation("org.bytedeco:tensorflow-lite:2.21.0-1.5.14:$platform")
        implementation("org.bytedeco:javacpp:1.5.14:$platform")
    }
    // Optional, for src/gpu: without these the GPU button says why it stays on the CPU.
    implementation("com.google.ai.edge.litert:litert:1.4.1")
    implementation("com.google.ai.edge.litert:litert-gpu:1.4.1")
    implementation("com.google.ai.edge.litert:litert-gpu-api:1.4.1")
}

val bundle by tasks.registering {
    val assets = layout.projectDirectory.dir("src/main/assets/bundle") // in here: the configuration cache keeps no script
    doLast {
        check(assets.file("manifest.json").asFile.isFile) {
            "no networks in ${assets.asFile}: run  android_demo/tools/export_bundle  first"
        }
    }
}
tasks.named("preBuild") { dependsOn(bundle) }
