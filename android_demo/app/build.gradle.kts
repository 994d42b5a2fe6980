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
    // plain: what needs no android.*, checked on a desktop JVM. The engine is plain too; its sources become part of the app.
    sourceSets["main"].kotlin.srcDirs("src/plain/kotlin", "../engine/src/main/kotlin")
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    // Stored as they are: models are mapped, and AGP aligns uncompressed libraries to 16 KB.
    androidResources { noCompress += "tflite" }
    packaging { jniLibs { useLegacyPackaging = false } }
    buildTypes {
        release {
            isMinifyEnabled = false
            signingConfig = signingConfigs["debug"] // a demo: put your own key here before you give it away
        }
    }
}

kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_11 } }

dependencies {
    // LiteRT 1.x carries the classes org.tensorflow.lite.* that the app is written for, in libraries for 16 KB pages.
    implementation("com.google.ai.edge.litert:litert:1.4.1")
    // Optional: without these two lines the GPU button says why it stays on the CPU.
    implementation("com.google.ai.edge.litert:litert-gpu:1.4.1")
    implementation("com.google.ai.edge.litert:litert-gpu-api:1.4.1")
}

val assets = layout.projectDirectory.dir("src/main/assets/bundle")
val bundle by tasks.registering {
    doLast {
        check(assets.file("manifest.json").asFile.isFile) {
            "no networks in ${assets.asFile}: run  android_demo/tools/export_bundle  first"
        }
    }
}
tasks.named("preBuild") { dependsOn(bundle) }
