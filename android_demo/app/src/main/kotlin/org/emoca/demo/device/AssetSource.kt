package org.emoca.demo.device

import android.content.res.AssetManager
import org.emoca.engine.BundleSource
import java.io.InputStream

/** The bundle among the app's assets, where `tools/export_bundle` puts it. */
class AssetSource(private val assets: AssetManager) : BundleSource {
    override val name = "the app's bundle"

    override fun open(file: String): InputStream = assets.open("$FOLDER/$file", AssetManager.ACCESS_STREAMING)

    private companion object {
        const val FOLDER = "bundle"
    }
}
